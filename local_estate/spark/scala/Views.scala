package mt.estate

import java.util.Locale
import java.util.concurrent.ConcurrentHashMap

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.JsonNode

import org.apache.spark.sql.catalyst.catalog.CatalogTable
import org.apache.spark.sql.connector.catalog.{Identifier, View}
import org.apache.spark.sql.types.{DataType, StringType, StructField, StructType}

/** Views as Unity Catalog keeps them: a text, the catalog and schema its short names are read in, and what it refers to. */
object Views {
  private val place = "view.catalogAndNamespace.part."
  private val column = "view.query.out.col."

  def is(entry: JsonNode): Boolean = Json.text(entry, "table_type") == "VIEW"

  def of(entry: JsonNode): View = {
    val properties = Option(entry.get("properties")).filterNot(_.isNull).map(_.properties().asScala.map(each => each.getKey -> each.getValue.asText()).toMap).getOrElse(Map.empty)
    def numbered(prefix: String) = properties.toSeq.collect { case (key, value) if key.startsWith(prefix) => key.stripPrefix(prefix).toInt -> value }.sorted.map(_._2)
    val fields = entry.get("columns").elements().asScala.toSeq.map { each =>
      val field = StructField(Json.text(each, "name"), DataType.fromDDL(Json.text(each, "type_text")))
      Option(Json.text(each, "comment")).filter(_.nonEmpty).map(field.withComment).getOrElse(field)
    }
    val in = Some(numbered(place)).filter(_.nonEmpty).getOrElse(Seq(Json.text(entry, "catalog_name"), Json.text(entry, "schema_name")))
    val comment = Option(Json.text(entry, "comment")).filter(_.nonEmpty)
    val shown = properties.filterNot(_._1.startsWith("view."))
    build(StructType(fields), Json.text(entry, "view_definition"), in, numbered(column), shown ++ comment.map("comment" -> _) + ("owner" -> Json.text(entry, "owner")))
  }

  def build(schema: StructType, text: String, in: Seq[String], columns: Seq[String], properties: Map[String, String]): View =
    new View.Builder().withSchema(schema).withProperties(properties.asJava).withQueryText(text)
      .withCurrentCatalog(in.head).withCurrentNamespace(in.tail.toArray).withSqlConfigs(java.util.Map.of())
      .withSchemaMode("BINDING").withQueryColumnNames(columns.toArray).build()

  /** What REST keeps of a view that Spark has just analysed. */
  def entry(catalog: String, ident: Identifier, view: View, dependencies: JsonNode): JsonNode = {
    val in = view.currentCatalog() +: view.currentNamespace().toSeq
    val kept = view.properties().asScala.toMap.filterNot { case (key, _) => Set("comment", "owner", "table_type")(key) }
    val numbered = CatalogTable.catalogAndNamespaceToProps(in.head, in.tail) ++
      view.queryColumnNames().zipWithIndex.map { case (name, at) => s"$column$at" -> name } + ("view.query.out.numCols" -> view.queryColumnNames().length.toString)
    Json.obj("name" -> ident.name(), "catalog_name" -> catalog, "schema_name" -> ident.namespace().last, "table_type" -> "VIEW",
      "view_definition" -> view.queryText(), "view_dependencies" -> dependencies, "columns" -> UnityCatalog.columns(view.schema()),
      "comment" -> Option(view.properties().get("comment")), "properties" -> (kept ++ numbered))
  }

  /** Links of a chain of definers, see `definers.py`. */
  def link(fullName: String): String = s"TABLE:${fullName.toLowerCase(Locale.ROOT)}"
  def functionLink(fullName: String): String = s"FUNCTION:${fullName.toLowerCase(Locale.ROOT)}"

  /** The names that an entry's text refers to. */
  def referred(dependencies: JsonNode): Seq[String] =
    Option(dependencies).filterNot(_.isNull).flatMap(each => Option(each.get("dependencies"))).map(_.elements().asScala.toSeq).getOrElse(Nil)
      .flatMap(each => Option(each.at("/table/table_full_name")).filterNot(_.isMissingNode).map(_.asText()))
}

/** By which views and functions a session came to a name that it may not use itself. Whether it may come that way is the service's to say. */
object Definers {
  private val ways = new ConcurrentHashMap[(String, String), Seq[String]]()

  def open(caller: Caller, names: Seq[String], by: Seq[String]): Unit = names.foreach(name => ways.put((caller.key, name.toLowerCase(Locale.ROOT)), by))
  def way(caller: Caller, fullName: String): Seq[String] = Option(ways.get((caller.key, fullName.toLowerCase(Locale.ROOT)))).getOrElse(Nil)
  def forget(caller: Caller): Unit = ways.keySet().removeIf(_._1 == caller.key)

  /** Spark checks the body of a view by itself while it resolves the view; it is checked as part of the view, as the view's owner. */
  def resolvingView: Boolean = StackWalker.getInstance().walk[java.lang.Boolean](frames =>
    frames.anyMatch(frame => frame.getMethodName.contains("resolveViews") && frame.getClassName.contains("ResolveRelations")))
}

/** `information_schema`: what the caller may see, as views whose text carries the rows. */
object InformationSchema {
  val Name = "information_schema"

  private val shapes: Map[String, Seq[String]] = Map(
    "schemata" -> Seq("catalog_name", "schema_name", "schema_owner", "comment"),
    "tables" -> Seq("table_catalog", "table_schema", "table_name", "table_type", "table_owner", "comment", "data_source_format", "storage_path"),
    "views" -> Seq("table_catalog", "table_schema", "table_name", "view_definition"),
    "columns" -> Seq("table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "is_nullable", "full_data_type", "data_type", "comment"),
    "table_tags" -> Seq("catalog_name", "schema_name", "table_name", "tag_name", "tag_value"),
    "column_tags" -> Seq("catalog_name", "schema_name", "table_name", "column_name", "tag_name", "tag_value"))

  def holds(ident: Identifier): Boolean = ident.namespace().length == 1 && ident.namespace().head.equalsIgnoreCase(Name) && shapes.contains(ident.name().toLowerCase(Locale.ROOT))

  def names: Seq[String] = shapes.keys.toSeq.sorted

  def view(caller: Caller, catalog: String, ident: Identifier): View = {
    val name = ident.name().toLowerCase(Locale.ROOT)
    val columns = shapes(name)
    val schema = StructType(columns.map(each => StructField(each, if (each == "ordinal_position") org.apache.spark.sql.types.IntegerType else StringType)))
    val found = rows(caller, catalog, name)
    val shown = schema.map(field => s"CAST(${field.name} AS ${field.dataType.sql}) AS ${field.name}").mkString(", ")
    val values = if (found.isEmpty) Seq(columns.map(_ => "NULL").mkString("(", ", ", ")")) else found.map(_.map(literal).mkString("(", ", ", ")"))
    val text = s"SELECT $shown FROM VALUES ${values.mkString(", ")} AS t(${columns.mkString(", ")}) WHERE ${found.nonEmpty}"
    Views.build(schema, text, Seq(catalog, "default"), columns, Map("owner" -> "System user"))
  }

  private def rows(caller: Caller, catalog: String, name: String): Seq[Seq[String]] = {
    lazy val schemas = UnityCatalog.schemas(caller, catalog)
    lazy val tables = schemas.filter(Json.text(_, "name") != Name).flatMap(schema => UnityCatalog.tables(caller, catalog, Json.text(schema, "name")))
    def of(table: JsonNode, fields: String*) = (Seq("catalog_name", "schema_name", "name") ++ fields).map(Json.text(table, _))
    def tags(ofColumns: Boolean, fields: String*) = UnityCatalog.tags(caller, catalog).filter(Json.text(_, "column_name").nonEmpty == ofColumns)
      .map(tag => catalog +: fields.map(Json.text(tag, _)))
    name match {
      case "table_tags" => tags(ofColumns = false, "schema_name", "table_name", "tag_name", "tag_value")
      case "column_tags" => tags(ofColumns = true, "schema_name", "table_name", "column_name", "tag_name", "tag_value")
      case "schemata" => schemas.map(schema => Seq("catalog_name", "name", "owner", "comment").map(Json.text(schema, _)))
      case "tables" => tables.map(table => of(table, "table_type", "owner", "comment", "data_source_format", "storage_location"))
      case "views" => tables.filter(Views.is).map(of(_, "view_definition"))
      case "columns" => tables.flatMap(table => Option(table.get("columns")).map(_.elements().asScala.toSeq).getOrElse(Nil).map { column =>
        val nullable = if (column.path("nullable").asBoolean(true)) "YES" else "NO"
        of(table) ++ Seq(Json.text(column, "name"), Json.text(column, "position"), nullable, Json.text(column, "type_text"), Json.text(column, "type_name"), Json.text(column, "comment"))
      })
    }
  }

  private def literal(text: String): String = if (text.isEmpty) "NULL" else "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
}
