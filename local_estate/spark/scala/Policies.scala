package mt.estate

import java.util.Locale

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.JsonNode

import org.apache.spark.sql.AnalysisException
import org.apache.spark.sql.catalyst.catalog.CatalogTable
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.plans.logical._
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.catalyst.streaming.StreamingRelationV2
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.connector.catalog.Table
import org.apache.spark.sql.delta.catalog.DeltaTableV2
import org.apache.spark.sql.execution.datasources.LogicalRelation
import org.apache.spark.sql.execution.datasources.v2.DataSourceV2Relation
import org.apache.spark.sql.execution.streaming.runtime.StreamingRelation
import org.apache.spark.sql.types.BooleanType

/** What the principal of this session is not to see of a table, as Unity Catalog worked it out when the table was loaded. */
final class Protection(node: JsonNode) {
  private def calls(field: String): Seq[(String, JsonNode)] = node.get(field).properties().asScala.map(each => each.getKey -> each.getValue).toSeq

  val masks: Map[String, JsonNode] = calls("column_masks").map { case (column, call) => column.toLowerCase(Locale.ROOT) -> call }.toMap
  val filters: Seq[JsonNode] = node.get("row_filters").elements().asScala.toSeq
  val conflicts: Seq[String] = node.get("conflicts").elements().asScala.map(_.asText()).toSeq
}

object Protection {
  /** Properties of a loaded table: what is to be hidden, and that it has been. Neither is stored anywhere. */
  private val Wanted = "estate.protection"
  private val Given = "estate.protected"

  /** The properties of a table's entry. None for a table of which the session may see all: its leaf stays bare. */
  def properties(entry: JsonNode): Map[String, String] =
    Option(entry.get("protection")).filter(applies).map(node => Map(Wanted -> node.toString)).getOrElse(Map.empty)

  def applies(node: JsonNode): Boolean = Seq("column_masks", "row_filters", "conflicts").exists(field => !node.get(field).isEmpty)

  def of(leaf: LogicalPlan): Option[Protection] = table(leaf).flatMap(_.properties.get(Wanted)).map(text => new Protection(Json.mapper.readTree(text)))

  /** A leaf of which something is hidden, already or not yet. */
  def concerns(leaf: LogicalPlan): Boolean = table(leaf).exists(concerns)
  def concerns(table: CatalogTable): Boolean = table.properties.contains(Wanted) || table.properties.contains(Given)

  def name(leaf: LogicalPlan): String = table(leaf).map(_.identifier.unquotedString).getOrElse(leaf.nodeName)

  def done(table: Option[CatalogTable]): Option[CatalogTable] = table.map(given => given.copy(properties = given.properties - Wanted + (Given -> "true")))

  private def table(leaf: LogicalPlan): Option[CatalogTable] = leaf match {
    case relation: LogicalRelation => relation.catalogTable
    case stream: StreamingRelation => stream.dataSource.catalogTable
    case relation: DataSourceV2Relation => ofDelta(relation.table)
    case stream: StreamingRelationV2 => ofDelta(stream.table)
    case _ => None
  }

  private def ofDelta(table: Table): Option[CatalogTable] = table match {
    case delta: DeltaTableV2 => delta.catalogTable
    case _ => None
  }

  def refuse(text: String): AnalysisException =
    new AnalysisException("UNSUPPORTED_FEATURE", "0A000", text, Map("what" -> text), None, Some(s"[UNSUPPORTED_FEATURE] $text. SQLSTATE: 0A000"))
}

/** Puts masks and row filters between a table and whoever reads it: in SQL, DataFrames, time travel, change feeds and streams alike.
 *  A protected leaf becomes Project(masks, Filter(filter, fresh leaf)) whose columns keep their ids, so what stands above it stays as it is. */
class PolicyRule(session: SparkSession) extends Rule[LogicalPlan] {
  private lazy val functions = new FunctionRule(session)

  override def apply(plan: LogicalPlan): LogicalPlan = protect(plan)

  private def protect(plan: LogicalPlan): LogicalPlan = {
    val below = plan match {
      // What is written to is no reading of it.
      case change if Changes.first(change) => change.withNewChildren(change.children.head +: change.children.tail.map(protect))
      case leaf if leaf.children.isEmpty => Protection.of(leaf).map(hide(leaf, _)).getOrElse(leaf)
      case other => other.mapChildren(protect)
    }
    if (below.expressions.exists(SubqueryExpression.hasSubquery)) below.transformExpressions { case nested: SubqueryExpression => nested.withNewPlan(protect(nested.plan)) }
    else below
  }

  private def hide(leaf: LogicalPlan, protection: Protection): LogicalPlan = {
    protection.conflicts.headOption.foreach(reason => throw Protection.refuse(s"table ${Protection.name(leaf)} cannot be read: $reason; its policies must be changed"))
    val (fresh, output) = leaf match {
      case relation: LogicalRelation =>
        val copied = relation.newInstance()
        copied.copy(catalogTable = Protection.done(copied.catalogTable)) -> copied.output
      case stream: StreamingRelation =>
        val copied = stream.newInstance().asInstanceOf[StreamingRelation]
        copied.copy(dataSource = copied.dataSource.copy(catalogTable = Protection.done(copied.dataSource.catalogTable))) -> copied.output
      case other => throw Protection.refuse(s"table ${Protection.name(leaf)} has masks or row filters, which a ${other.nodeName} cannot carry")
    }
    val columns = output.map(column => column.name.toLowerCase(Locale.ROOT) -> column).toMap[String, Attribute]
    val shown = leaf.output.zip(output).map { case (old, column) =>
      val seen = protection.masks.get(column.name.toLowerCase(Locale.ROOT)).map(call => Cast(value(leaf, call, columns), column.dataType)).getOrElse(column)
      Alias(seen, old.name)(old.exprId, old.qualifier, Some(old.metadata))
    }
    val kept = protection.filters.foldLeft[LogicalPlan](fresh)((rows, call) => Filter(Cast(value(leaf, call, columns), BooleanType), rows))
    val hidden = session.sessionState.analyzer.execute(Project(shown, kept))
    if (!hidden.resolved || hidden.output.map(_.exprId) != leaf.output.map(_.exprId))
      throw Protection.refuse(s"table ${Protection.name(leaf)} cannot be read: a mask or row filter of it does not analyse; its function must be changed")
    hidden
  }

  private def value(leaf: LogicalPlan, call: JsonNode, columns: Map[String, Attribute]): Expression = {
    val function = Option(call.get("function")).filterNot(_.isNull)
      .getOrElse(throw Protection.refuse(s"table ${Protection.name(leaf)} cannot be read: function ${Json.text(call, "function_name")}, which masks or filters it, does not exist; create it again or drop the mask"))
    val arguments = call.get("arguments").elements().asScala.toSeq.map { argument =>
      if (argument.has("constant")) Literal(Json.text(argument, "constant"))
      else columns.getOrElse(Json.text(argument, "column").toLowerCase(Locale.ROOT),
        throw Protection.refuse(s"table ${Protection.name(leaf)} cannot be read: its policies need column ${Json.text(argument, "column")}, which this version of it lacks"))
    }
    functions.body(SqlFunction.of(function), arguments)
  }
}

/** Refuses before Delta stumbles over a target that a DataFrame has masked, or forgets of what it makes a clone. */
class ChangeRule extends Rule[LogicalPlan] {
  override def apply(plan: LogicalPlan): LogicalPlan = {
    plan match {
      case clone: CloneTableStatement => Changes.refuseClone(clone)
      case change if Changes.first(change) => Changes.refuse(change)
      case _ => ()
    }
    plan
  }
}

/** Commands whose first child is the table that they change. */
object Changes {
  private val names = Set("DeltaMergeInto", "MergeIntoTable", "UpdateTable", "DeltaUpdateTable", "DeleteFromTable", "DeltaDelete", "MergeIntoCommand", "UpdateCommand", "DeleteCommand")

  def first(plan: LogicalPlan): Boolean = names(plan.nodeName) && plan.children.nonEmpty

  /** Refuses what would have to read, or would replace, rows that the principal does not see. Appending is open to who has MODIFY. */
  def refuse(plan: LogicalPlan): Unit = plan match {
    case change if names(change.nodeName) => changed(change).foreach(deny(change.nodeName, _))
    case _: AppendData => ()
    case write: V2WriteCommand => deny("OVERWRITE", write.table)
    case _ => ()
  }

  /** Delta turns this into commands that no longer say what is copied, so it is looked at before. */
  def refuseClone(clone: CloneTableStatement): Unit = deny("CLONE", clone.source match {
    case travel: org.apache.spark.sql.catalyst.TimeTravel => travel.relation
    case source => source
  })

  /** Delta's own commands keep their table in a field. */
  private def changed(command: LogicalPlan): Option[LogicalPlan] =
    command.productElementNames.zip(command.productIterator).collectFirst { case ("target", plan: LogicalPlan) => plan }.orElse(command.children.headOption)

  private def deny(what: String, target: LogicalPlan): Unit =
    target.collectLeaves().find(Protection.concerns).foreach { leaf =>
      val verb = what.stripPrefix("Delta").stripSuffix("Command").replaceAll("(?<=[a-z])(?=[A-Z])", " ").toUpperCase(Locale.ROOT)
      throw Protection.refuse(s"$verb on ${Protection.name(leaf)}, which hides columns or rows from this principal; run it as one that its policies except")
    }
}
