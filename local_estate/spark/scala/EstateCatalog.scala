package mt.estate

import java.net.URI
import java.util

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import com.fasterxml.jackson.databind.JsonNode
import org.apache.hadoop.fs.Path

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.TableIdentifier
import org.apache.spark.sql.catalyst.analysis._
import org.apache.spark.sql.catalyst.catalog.{CatalogStorageFormat, CatalogTable, CatalogTableType}
import org.apache.spark.sql.connector.catalog._
import org.apache.spark.sql.connector.expressions.Transform
import org.apache.spark.sql.connector.write.{LogicalWriteInfo, WriteBuilder}
import org.apache.spark.sql.delta.catalog.DeltaCatalog
import org.apache.spark.sql.estate.Bridge
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.util.CaseInsensitiveStringMap

/** One Unity Catalog catalog as Spark sees it. Delta works on paths; names and ids belong to the REST API. */
class EstateCatalog extends StagingTableCatalog with SupportsNamespaces with RelationCatalog {
  private val spark = SparkSession.active
  private val delta = new DeltaCatalog
  private var rest: RestTables = _

  override def initialize(catalog: String, options: CaseInsensitiveStringMap): Unit = {
    rest = new RestTables(catalog)
    delta.setDelegateCatalog(rest)
    delta.initialize(catalog, options)
  }

  override def name(): String = rest.name()
  override def defaultNamespace(): Array[String] = Array("default")
  override def capabilities(): util.Set[TableCatalogCapability] = delta.capabilities()

  private def caller: Caller = Caller.current
  private def fullName(ident: Identifier): String = rest.fullName(ident)

  // -- read

  override def listTables(namespace: Array[String]): Array[Identifier] = rest.listTables(namespace)

  /** A plain read: one request says whether the name is a table or a view, and all else about it. */
  override def loadRelation(ident: Identifier): Relation =
    if (InformationSchema.holds(ident)) InformationSchema.view(caller, name(), ident)
    else {
      val entry = rest.relation(ident)
      if (Views.is(entry)) view(ident, entry) else rest.holding(ident, entry)(loadTable(ident))
    }

  override def loadTable(ident: Identifier): Table = {
    admit(ident, Seq("SELECT", "MODIFY"))
    delta.loadTable(ident)
  }

  override def loadTable(ident: Identifier, privileges: util.Set[TableWritePrivilege]): Table = {
    admit(ident, Seq("MODIFY"))
    delta.loadTable(ident)
  }

  override def loadTable(ident: Identifier, version: String): Table = {
    admit(ident, Seq("SELECT"))
    delta.loadTable(ident, version)
  }

  override def loadTable(ident: Identifier, timestamp: Long): Table = {
    admit(ident, Seq("SELECT"))
    delta.loadTable(ident, timestamp)
  }

  /** An early refusal with a good message; the check rule decides what the statement as a whole may do. */
  private def admit(ident: Identifier, anyOf: Seq[String]): Unit = {
    val acting = caller
    val table = rest.entry(ident)
    val through = Some(Definers.way(acting, fullName(ident))).filter(_.nonEmpty).map(Check("SELECT", "TABLE", fullName(ident), _))
    val checks = anyOf.map(privilege => Check(privilege, "TABLE", fullName(ident))) ++ through
    UnityCatalog.requireAny(acting, checks: _*)
    GovernedPaths.admit(acting, Json.text(table, "storage_location"), checks)
    ColumnSync.settle(acting, fullName(ident))
  }

  override def tableExists(ident: Identifier): Boolean = rest.tableExists(ident)

  override def invalidateTable(ident: Identifier): Unit = ()

  // -- create and replace

  override def createTable(ident: Identifier, info: TableInfo): Table =
    createTable(ident, info.columns(), info.partitions(), info.properties())

  override def createTable(ident: Identifier, columns: Array[Column], partitions: Array[Transform], properties: util.Map[String, String]): Table = {
    val place = reserve(ident, properties)
    try {
      delta.createTable(place.path, columns, partitions, place.properties)
      register(ident, place)
    } catch { case NonFatal(failure) => place.discard(); throw failure }
    delta.loadTable(ident)
  }

  override def stageCreate(ident: Identifier, info: TableInfo): StagedTable =
    stageCreate(ident, info.columns(), info.partitions(), info.properties())

  override def stageCreate(ident: Identifier, columns: Array[Column], partitions: Array[Transform], properties: util.Map[String, String]): StagedTable = {
    val place = reserve(ident, properties)
    new StagedEstateTable(delta.stageCreate(place.path, columns, partitions, place.properties), () => register(ident, place), () => place.discard())
  }

  override def stageReplace(ident: Identifier, info: TableInfo): StagedTable =
    stageReplace(ident, info.columns(), info.partitions(), info.properties())

  override def stageReplace(ident: Identifier, columns: Array[Column], partitions: Array[Transform], properties: util.Map[String, String]): StagedTable = {
    val place = existing(ident, properties)
    new StagedEstateTable(delta.stageReplace(place.path, columns, partitions, place.properties), () => refresh(ident, place), () => ())
  }

  override def stageCreateOrReplace(ident: Identifier, info: TableInfo): StagedTable =
    stageCreateOrReplace(ident, info.columns(), info.partitions(), info.properties())

  override def stageCreateOrReplace(ident: Identifier, columns: Array[Column], partitions: Array[Transform], properties: util.Map[String, String]): StagedTable =
    if (tableExists(ident)) {
      val place = existing(ident, properties)
      new StagedEstateTable(delta.stageCreateOrReplace(place.path, columns, partitions, place.properties), () => refresh(ident, place), () => ())
    } else stageCreate(ident, columns, partitions, properties)

  /** Where a table's files go: under a staged entry of the REST API, or at the LOCATION of an external table. */
  private final case class Place(location: String, managed: Boolean, comment: Option[String], given: Map[String, String]) {
    def path: Identifier = Identifier.of(Array("delta"), location)

    def properties: util.Map[String, String] = given.asJava

    /** A table that never came to be leaves no files. What an external location held before is not ours to delete. */
    def discard(): Unit = if (managed) {
      val root = new Path(location)
      try root.getFileSystem(spark.sessionState.newHadoopConf()).delete(root, true)
      catch { case NonFatal(_) => () } // the sweep of the REST API takes the rest
    }
  }

  private val positional = Set(TableCatalog.PROP_LOCATION, TableCatalog.PROP_EXTERNAL, TableCatalog.PROP_IS_MANAGED_LOCATION, TableCatalog.PROP_OWNER, "path", "option.path")

  private def place(location: String, managed: Boolean, properties: util.Map[String, String]): Place = {
    val given = properties.asScala.toMap
    val provider = given.getOrElse(TableCatalog.PROP_PROVIDER, "delta")
    if (!provider.equalsIgnoreCase("delta")) throw NotSupported(s"tables USING ${provider.toUpperCase(util.Locale.ROOT)}; use DELTA")
    Place(location, managed, given.get(TableCatalog.PROP_COMMENT), given.filter { case (key, _) => !positional(key) } + (TableCatalog.PROP_PROVIDER -> "delta"))
  }

  private def reserve(ident: Identifier, properties: util.Map[String, String]): Place = {
    val schema = s"${name()}.${ident.namespace().mkString(".")}"
    UnityCatalog.require(caller, Check("CREATE_TABLE", "SCHEMA", schema))
    if (tableExists(ident)) throw new TableAlreadyExistsException(ident)
    Option(properties.get(TableCatalog.PROP_LOCATION)) match {
      case Some(location) =>
        val target = new Path(location).toString.stripSuffix("/")
        val governed = GovernedPaths.govern(caller, target, GovernedPaths.Write)
        if (governed.securableType != "EXTERNAL_LOCATION") throw PermissionDenied(s"LOCATION '$target' overlaps ${governed.securableType} ${governed.fullName}")
        UnityCatalog.require(caller, Check("CREATE_EXTERNAL_TABLE", "EXTERNAL_LOCATION", governed.fullName))
        place(target, managed = false, properties)
      case None =>
        val planned = place("", managed = true, properties)
        planned.copy(location = Json.text(UnityCatalog.stage(caller, name(), ident.namespace().last, ident.name()), "staging_location").stripSuffix("/"))
    }
  }

  private def existing(ident: Identifier, properties: util.Map[String, String]): Place = {
    val entry = rest.entry(ident)
    UnityCatalog.require(caller, Check("MODIFY", "TABLE", fullName(ident)))
    if (Protection.applies(entry.get("protection")))
      throw Protection.refuse(s"REPLACE of ${fullName(ident)}, which hides columns or rows from this principal; run it as one that its policies except")
    val location = Json.text(entry, "storage_location").stripSuffix("/")
    Option(properties.get(TableCatalog.PROP_LOCATION)).map(given => new Path(given).toString.stripSuffix("/")).filter(_ != location)
      .foreach(given => throw NotSupported(s"moving ${fullName(ident)} to '$given' by REPLACE; it lives at $location"))
    place(location, managed = Json.text(entry, "table_type") == "MANAGED", properties)
  }

  private def snapshot(place: Place): StructType = delta.loadTable(place.path).schema()

  private def register(ident: Identifier, place: Place): Unit =
    UnityCatalog.createTable(caller, Json.obj(
      "name" -> ident.name(),
      "catalog_name" -> name(),
      "schema_name" -> ident.namespace().last,
      "table_type" -> (if (place.managed) "MANAGED" else "EXTERNAL"),
      "data_source_format" -> "DELTA",
      "storage_location" -> place.location,
      "columns" -> UnityCatalog.columns(snapshot(place)),
      "comment" -> place.comment,
      "properties" -> place.given.filter { case (key, _) => key != TableCatalog.PROP_PROVIDER && key != TableCatalog.PROP_COMMENT && !key.startsWith(TableCatalog.OPTION_PREFIX) }))

  private def refresh(ident: Identifier, place: Place): Unit =
    UnityCatalog.patchTable(caller, fullName(ident), Json.obj("columns" -> UnityCatalog.columns(snapshot(place))))

  // -- change

  override def alterTable(ident: Identifier, changes: TableChange*): Table = {
    admit(ident, Seq("MODIFY"))
    val guarded = Option(rest.entry(ident).at("/protection/guarded_columns")).map(_.elements().asScala.map(_.asText()).toSet).getOrElse(Set.empty[String])
    // A mask, filter or tag knows its column by name, so the name stays while it does.
    changes.collect { case change @ (_: TableChange.RenameColumn | _: TableChange.DeleteColumn) => change.asInstanceOf[TableChange.ColumnChange].fieldNames().head }
      .find(column => guarded(column.toLowerCase(util.Locale.ROOT)))
      .foreach(column => throw Protection.refuse(s"column $column of ${fullName(ident)} is masked, filtered by or tagged; drop that first"))
    delta.alterTable(ident, changes: _*)
  }

  override def dropTable(ident: Identifier): Boolean = tableExists(ident) && UnityCatalog.dropTable(caller, fullName(ident))

  override def purgeTable(ident: Identifier): Boolean = dropTable(ident)

  override def renameTable(from: Identifier, to: Identifier): Unit = {
    rest.entry(from)
    rename(from, to)
  }

  private def rename(from: Identifier, to: Identifier): Unit = {
    val schema = if (to.namespace().isEmpty) from.namespace() else to.namespace().takeRight(1)
    if (!schema.sameElements(from.namespace()) || to.namespace().length > 1 && !to.namespace().head.equalsIgnoreCase(name()))
      throw NotSupported(s"moving ${fullName(from)} to another schema by RENAME TO; create it there")
    UnityCatalog.patchTable(caller, fullName(from), Json.obj("new_name" -> to.name()))
    GovernedPaths.forget(caller)
  }

  // -- views

  /** What the view refers to is reached as its owner from here on. */
  private def view(ident: Identifier, entry: JsonNode): View = {
    Definers.open(caller, Views.referred(entry.get("view_dependencies")), Definers.way(caller, fullName(ident)) :+ Views.link(fullName(ident)))
    Views.of(entry)
  }

  override def listViews(namespace: Array[String]): Array[Identifier] =
    if (namespace.sameElements(Array(InformationSchema.Name))) InformationSchema.names.map(Identifier.of(namespace, _)).toArray else rest.listed(namespace, views = true)

  override def createView(ident: Identifier, view: View): View = {
    if (rest.find(ident).isDefined) throw new ViewAlreadyExistsException(ident)
    UnityCatalog.createTable(caller, keep(ident, view))
    view
  }

  override def replaceView(ident: Identifier, view: View): View = {
    if (!viewExists(ident)) throw new NoSuchViewException(ident)
    val entry = keep(ident, view)
    UnityCatalog.patchTable(caller, fullName(ident), Json.obj(Seq("view_definition", "view_dependencies", "columns", "properties", "comment").map(field => field -> entry.get(field)): _*))
    view
  }

  private def keep(ident: Identifier, view: View): JsonNode = {
    val parsed = spark.asInstanceOf[org.apache.spark.sql.classic.SparkSession].sessionState.sqlParser.parseQuery(view.queryText())
    Views.entry(name(), ident, view, Dependencies.of(Some(parsed), view.currentCatalog() +: view.currentNamespace().toSeq))
  }

  override def dropView(ident: Identifier): Boolean = viewExists(ident) && UnityCatalog.dropTable(caller, fullName(ident))

  override def renameView(from: Identifier, to: Identifier): Unit = {
    if (!viewExists(from)) throw new NoSuchViewException(from)
    rename(from, to)
  }

  // -- schemas

  override def listNamespaces(): Array[Array[String]] = UnityCatalog.schemas(caller, name()).map(schema => Array(Json.text(schema, "name"))).toArray

  override def listNamespaces(namespace: Array[String]): Array[Array[String]] =
    if (namespace.isEmpty) listNamespaces()
    else if (namespaceExists(namespace)) Array.empty
    else throw new NoSuchNamespaceException(name() +: namespace)

  override def namespaceExists(namespace: Array[String]): Boolean =
    namespace.length == 1 && UnityCatalog.schema(caller, s"${name()}.${namespace.head}").isDefined

  override def loadNamespaceMetadata(namespace: Array[String]): util.Map[String, String] = {
    val schema = UnityCatalog.schema(caller, s"${name()}.${namespace.mkString(".")}").getOrElse(throw new NoSuchNamespaceException(name() +: namespace))
    Map(SupportsNamespaces.PROP_COMMENT -> Json.text(schema, "comment"), SupportsNamespaces.PROP_OWNER -> Json.text(schema, "owner")).filter(_._2.nonEmpty).asJava
  }

  override def createNamespace(namespace: Array[String], metadata: util.Map[String, String]): Unit =
    UnityCatalog.createSchema(caller, Json.obj("name" -> namespace.mkString("."), "catalog_name" -> name(), "comment" -> metadata.get(SupportsNamespaces.PROP_COMMENT)))

  override def alterNamespace(namespace: Array[String], changes: NamespaceChange*): Unit = throw NotSupported("ALTER SCHEMA")

  override def dropNamespace(namespace: Array[String], cascade: Boolean): Boolean = {
    UnityCatalog.dropSchema(caller, s"${name()}.${namespace.mkString(".")}", cascade)
    true
  }
}

/** Commits the files, then the name. A crash between the two leaves a staged entry that nobody sees and the next CREATE ignores. */
private[estate] final class StagedEstateTable(files: StagedTable, named: () => Unit, discard: () => Unit) extends StagedTable with SupportsWrite {
  override def name(): String = files.name()
  override def columns(): Array[Column] = files.columns()
  override def schema(): StructType = files.schema()
  override def partitioning(): Array[Transform] = files.partitioning()
  override def properties(): util.Map[String, String] = files.properties()
  override def capabilities(): util.Set[TableCapability] = files.capabilities()
  override def newWriteBuilder(info: LogicalWriteInfo): WriteBuilder = files.asInstanceOf[SupportsWrite].newWriteBuilder(info)

  override def commitStagedChanges(): Unit =
    try {
      files.commitStagedChanges()
      named()
    } catch { case NonFatal(failure) => discard(); throw failure }

  override def abortStagedChanges(): Unit = {
    files.abortStagedChanges()
    discard()
  }
}

/** What Delta's own catalog asks for: where a name lives. */
private final class RestTables(catalog: String) extends TableCatalog with SupportsNamespaces {
  override def initialize(name: String, options: CaseInsensitiveStringMap): Unit = ()
  override def name(): String = catalog

  def fullName(ident: Identifier): String = s"$catalog.${ident.namespace().mkString(".")}.${ident.name()}".toLowerCase(util.Locale.ROOT)

  /** The table's entry. Throws NoSuchTableException; a name with another depth than catalog.schema.table is no table. */
  def entry(ident: Identifier): JsonNode = Some(relation(ident)).filterNot(Views.is).getOrElse(throw missing(ident))

  /** The same of a table or a view. */
  def relation(ident: Identifier): JsonNode = Option(held.get()).collect { case (known, entry) if known == ident => entry }.orElse(find(ident)).getOrElse(throw missing(ident))

  def find(ident: Identifier): Option[JsonNode] =
    if (ident.namespace().length == 1 && ident.namespace().head != "delta" && !ident.name().contains("/")) UnityCatalog.table(Caller.current, fullName(ident)) else None

  private def missing(ident: Identifier) = new NoSuchTableException(catalog +: ident.namespace() :+ ident.name())

  private val held = new ThreadLocal[(Identifier, JsonNode)]()

  /** Loading a table asks for its entry more than once; it is the same one meanwhile. */
  def holding[T](ident: Identifier, entry: JsonNode)(work: => T): T = {
    held.set((ident, entry))
    try work finally held.remove()
  }

  override def loadTable(ident: Identifier): Table = {
    val table = entry(ident)
    val format = Json.text(table, "data_source_format")
    if (!format.equalsIgnoreCase("DELTA")) throw NotSupported(s"reading ${fullName(ident)}: its format is $format, not DELTA")
    val location = Json.text(table, "storage_location")
    Bridge.v1Table(CatalogTable(
      identifier = TableIdentifier(Json.text(table, "name"), Some(Json.text(table, "schema_name")), Some(catalog)),
      tableType = if (Json.text(table, "table_type") == "MANAGED") CatalogTableType.MANAGED else CatalogTableType.EXTERNAL,
      storage = CatalogStorageFormat.empty.copy(locationUri = Some(URI.create(location.replace(" ", "%20")))),
      schema = new StructType(),
      provider = Some("delta"),
      owner = Json.text(table, "owner"),
      comment = Option(Json.text(table, "comment")).filter(_.nonEmpty),
      properties = Protection.properties(table),
      tracksPartitionsInCatalog = false))
  }

  override def tableExists(ident: Identifier): Boolean =
    try { entry(ident); true }
    catch { case _: NoSuchTableException => false }

  override def listTables(namespace: Array[String]): Array[Identifier] = listed(namespace, views = false)

  def listed(namespace: Array[String], views: Boolean): Array[Identifier] =
    UnityCatalog.tables(Caller.current, catalog, namespace.mkString(".")).filter(Views.is(_) == views).map(table => Identifier.of(namespace, Json.text(table, "name"))).toArray

  private def never(what: String) = throw new IllegalStateException(s"$what goes through EstateCatalog")
  override def createTable(ident: Identifier, columns: Array[Column], partitions: Array[Transform], properties: util.Map[String, String]): Table = never("CREATE")
  override def alterTable(ident: Identifier, changes: TableChange*): Table = never("ALTER")
  override def dropTable(ident: Identifier): Boolean = never("DROP")
  override def renameTable(from: Identifier, to: Identifier): Unit = never("RENAME")
  override def listNamespaces(): Array[Array[String]] = Array.empty
  override def listNamespaces(namespace: Array[String]): Array[Array[String]] = Array.empty
  override def namespaceExists(namespace: Array[String]): Boolean = namespace.length == 1 && namespace.head != "delta"
  override def loadNamespaceMetadata(namespace: Array[String]): util.Map[String, String] = util.Map.of()
  override def createNamespace(namespace: Array[String], metadata: util.Map[String, String]): Unit = never("CREATE SCHEMA")
  override def alterNamespace(namespace: Array[String], changes: NamespaceChange*): Unit = never("ALTER SCHEMA")
  override def dropNamespace(namespace: Array[String], cascade: Boolean): Boolean = never("DROP SCHEMA")
}
