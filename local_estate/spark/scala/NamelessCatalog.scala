package mt.estate

import java.util

import org.apache.spark.sql.AnalysisException
import org.apache.spark.sql.catalyst.analysis.GlobalTempView
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.connector.catalog._
import org.apache.spark.sql.connector.expressions.Transform
import org.apache.spark.sql.delta.catalog.DeltaCatalog
import org.apache.spark.sql.execution.command._
import org.apache.spark.sql.execution.datasources.CreateTempViewUsing

/** `spark_catalog`: files by path (delta.`/Volumes/…`) and nothing by name, for Unity Catalog would know nothing of it. */
class NamelessCatalog extends DeltaCatalog {
  private val formats = Set("delta", "parquet", "json", "csv", "text", "orc", "avro", "binaryfile", "xml")

  private def located(ident: Identifier): Boolean = ident.namespace().length == 1 && formats(ident.namespace().head.toLowerCase(util.Locale.ROOT))
  private def spelt(ident: Identifier): String = s"${(ident.namespace() :+ ident.name()).mkString(".")} names no table of Unity Catalog"
  private def admit(ident: Identifier): Unit = if (!located(ident)) throw Nameless(spelt(ident))
  private def find(ident: Identifier): Unit = if (!located(ident)) throw Nameless.missing(spelt(ident))

  override def loadTable(ident: Identifier): Table = { find(ident); super.loadTable(ident) }
  override def loadTable(ident: Identifier, timestamp: Long): Table = { find(ident); super.loadTable(ident, timestamp) }
  override def loadTable(ident: Identifier, version: String): Table = { find(ident); super.loadTable(ident, version) }
  override def tableExists(ident: Identifier): Boolean = isPathIdentifier(ident) && super.tableExists(ident)

  override def createTable(ident: Identifier, columns: Array[Column], partitions: Array[Transform], properties: util.Map[String, String]): Table = {
    admit(ident); super.createTable(ident, columns, partitions, properties)
  }
  override def stageCreate(ident: Identifier, columns: Array[Column], partitions: Array[Transform], properties: util.Map[String, String]): StagedTable = {
    admit(ident); super.stageCreate(ident, columns, partitions, properties)
  }
  override def stageReplace(ident: Identifier, columns: Array[Column], partitions: Array[Transform], properties: util.Map[String, String]): StagedTable = {
    admit(ident); super.stageReplace(ident, columns, partitions, properties)
  }
  override def stageCreateOrReplace(ident: Identifier, columns: Array[Column], partitions: Array[Transform], properties: util.Map[String, String]): StagedTable = {
    admit(ident); super.stageCreateOrReplace(ident, columns, partitions, properties)
  }
  override def createNamespace(namespace: Array[String], metadata: util.Map[String, String]): Unit =
    throw Nameless(s"schema ${namespace.mkString(".")} would be kept outside Unity Catalog")
}

object Nameless {
  def apply(what: String): AnalysisException = refusal("UNSUPPORTED_FEATURE", "0A000", what)

  /** In the class that lets `spark.catalog.tableExists` answer false. */
  def missing(what: String): AnalysisException = refusal("TABLE_OR_VIEW_NOT_FOUND", "42P01", what)

  private def refusal(condition: String, state: String, what: String): AnalysisException =
    new AnalysisException(condition, state, what, Map("what" -> what), None,
      Some(s"[$condition] $what; write catalog.schema.name, or USE CATALOG first, or make a temporary view. SQLSTATE: $state"))

  /** Refuses what Spark would keep in its own session catalog: every session of this JVM, whoever's it is, would see it. */
  def refuse(plan: LogicalPlan): Unit = plan match {
    case view: CreateViewCommand if view.viewType == GlobalTempView => throw global(view.name.table)
    case view: CreateTempViewUsing if view.global => throw global(view.tableIdent.table)
    case _ if kept(plan.nodeName) => throw Nameless(s"${plan.nodeName.stripSuffix("Command")} would keep something outside Unity Catalog")
    case view: CreateViewCommand if view.viewType == org.apache.spark.sql.catalyst.analysis.PersistedView =>
      throw Nameless(s"view ${view.name.unquotedString} would be kept outside Unity Catalog")
    case _ => ()
  }

  private val kept = Set("CreateTableCommand", "CreateDataSourceTableCommand", "CreateDataSourceTableAsSelectCommand", "CreateTableLikeCommand",
    "CreateDatabaseCommand", "AlterViewAsCommand", "CreateMetricViewCommand")

  private def global(name: String): AnalysisException = Nameless(s"global temporary view $name would be seen by every principal")
}
