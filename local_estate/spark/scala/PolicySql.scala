package mt.estate

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.node.ObjectNode

import org.apache.spark.sql.{Row, SparkSession}
import org.apache.spark.sql.execution.command.LeafRunnableCommand

/** A function and the columns it is given: of a mask the further ones, of a row filter all. */
final case class Binding(function: Seq[String], columns: Seq[String])

/** ALTER TABLE … ALTER COLUMN … SET MASK | DROP MASK */
final case class SetMask(table: Seq[String], column: String, binding: Option[Binding]) extends LeafRunnableCommand {
  override def run(session: SparkSession): Seq[Row] = {
    val names = new EstateNames(session)
    val (caller, fullName) = (Caller.current, names.definition(table))
    val entry = UnityCatalog.table(caller, fullName).getOrElse(throw Nameless.missing(s"table $fullName does not exist"))
    val columns = entry.get("columns").elements().asScala.toSeq
    val masked = columns.find(each => Json.text(each, "name").equalsIgnoreCase(column)).map(_.asInstanceOf[ObjectNode])
      .getOrElse(throw SqlFunction.refuse("UNRESOLVED_COLUMN", "42703", s"column $column does not exist in $fullName"))
    masked.set[ObjectNode]("mask", Json.of(binding.map(given => Map("function_name" -> names.definition(given.function), "using_column_names" -> given.columns))))
    UnityCatalog.patchTable(caller, fullName, Json.obj("columns" -> columns))
    Nil
  }
}

/** ALTER TABLE … SET ROW FILTER … ON (…) | DROP ROW FILTER */
final case class SetRowFilter(table: Seq[String], binding: Option[Binding]) extends LeafRunnableCommand {
  override def run(session: SparkSession): Seq[Row] = {
    val names = new EstateNames(session)
    val filter = binding.map(given => Map("function_name" -> names.definition(given.function), "input_column_names" -> given.columns))
    UnityCatalog.patchTable(Caller.current, names.definition(table), Json.obj("row_filter" -> filter))
    Nil
  }
}

/** ALTER … [ALTER COLUMN …] SET TAGS ('key' = 'value') | UNSET TAGS ('key') */
final case class SetTags(kind: String, name: Seq[String], column: Option[String], set: Boolean, tags: Seq[(String, String)]) extends LeafRunnableCommand {
  override def run(session: SparkSession): Seq[Row] = {
    val full = if (kind == "table" || kind == "volume") new EstateNames(session).definition(name) else name.mkString(".")
    val (entityType, entity) = column.map(each => "columns" -> s"$full.$each").getOrElse(s"${kind}s" -> full)
    tags.foreach { case (key, value) => change(Caller.current, entityType, entity, key, value) }
    Nil
  }

  private def change(caller: Caller, entityType: String, entity: String, key: String, value: String): Unit = {
    val root = "/api/2.1/unity-catalog/entity-tag-assignments"
    val one = s"$root/$entityType/${UnityCatalog.quote(entity)}/tags/${UnityCatalog.quote(key)}"
    val body = Json.obj("entity_type" -> entityType, "entity_name" -> entity, "tag_key" -> key, "tag_value" -> value)
    try {
      if (set) UnityCatalog.call(caller, "POST", root, Some(body))
      else UnityCatalog.call(caller, "DELETE", one)
    } catch {
      case taken: ApiFailure if set && taken.code == "ALREADY_EXISTS" => UnityCatalog.call(caller, "PATCH", one + "?update_mask=tag_value", Some(body))
      case missing: ApiFailure if !set && missing.code == "RESOURCE_DOES_NOT_EXIST" => ()
    }
  }
}
