package mt.estate

import java.util.Locale

import scala.jdk.CollectionConverters._

import org.apache.spark.sql.{Row, SparkSession}
import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeReference}
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.execution.command.LeafRunnableCommand
import org.apache.spark.sql.types.StringType

/** Unity Catalog statements that Spark's grammar lacks. */
object UnityCatalogSql {
  private val kinds = "CATALOG|SCHEMA|DATABASE|TABLE|VIEW|VOLUME|FUNCTION|EXTERNAL LOCATION|STORAGE CREDENTIAL|METASTORE"
  private val change = s"(?is)\\s*(GRANT|REVOKE)\\s+(.+?)\\s+ON\\s+(?:($kinds)\\s+)?(\\S+)\\s+(?:TO|FROM)\\s+(.+?)\\s*;?\\s*".r
  private val show = s"(?is)\\s*SHOW\\s+GRANTS?\\s+(?:(\\S+)\\s+)?ON\\s+(?:($kinds)\\s+)?(\\S+?)\\s*;?\\s*".r

  def parse(text: String): Option[LogicalPlan] = text match {
    case change(verb, privileges, kind, name, principal) =>
      val spelt = privileges.split(",").map(_.trim.toUpperCase(Locale.ROOT).replaceAll("\\s+", "_")).toSeq
      Some(ChangeGrants(verb.equalsIgnoreCase("GRANT"), spelt, securable(kind), unquoted(name), unquoted(principal)))
    case show(principal, kind, name) => Some(ShowGrants(Option(principal).map(unquoted), securable(kind), unquoted(name)))
    case _ => None
  }

  private def securable(kind: String): String = Option(kind).map(_.toUpperCase(Locale.ROOT)) match {
    case None | Some("VIEW") => "table"
    case Some("DATABASE") => "schema"
    case Some(other) => other.toLowerCase(Locale.ROOT).replace(' ', '_')
  }

  private def unquoted(name: String): String = name.replace("`", "")

  def path(kind: String, name: String): String = s"/api/2.1/unity-catalog/permissions/$kind/${UnityCatalog.quote(name)}"
}

final case class ChangeGrants(grant: Boolean, privileges: Seq[String], kind: String, name: String, principal: String) extends LeafRunnableCommand {
  override def run(session: SparkSession): Seq[Row] = {
    val change = Json.obj("principal" -> principal, (if (grant) "add" else "remove") -> privileges)
    UnityCatalog.call(Caller.current, "PATCH", UnityCatalogSql.path(kind, name), Some(Json.obj("changes" -> Seq(change))))
    Nil
  }
}

final case class ShowGrants(principal: Option[String], kind: String, name: String) extends LeafRunnableCommand {
  override val output: Seq[Attribute] = Seq("Principal", "ActionType", "ObjectType", "ObjectKey").map(AttributeReference(_, StringType)())

  override def run(session: SparkSession): Seq[Row] = {
    val query = principal.map(who => "?principal=" + UnityCatalog.quote(who)).getOrElse("")
    val reply = UnityCatalog.call(Caller.current, "GET", UnityCatalogSql.path(kind, name) + query)
    for {
      assignment <- Option(reply.get("privilege_assignments")).map(_.elements().asScala.toSeq).getOrElse(Nil)
      privilege <- assignment.get("privileges").elements().asScala.toSeq
    } yield Row(Json.text(assignment, "principal"), privilege.asText().replace('_', ' '), kind.toUpperCase(Locale.ROOT), name)
  }
}
