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
  private val name = "((?:`[^`]+`|[\\w$-]+)(?:\\.(?:`[^`]+`|[\\w$-]+))*)"
  private val mask = s"(?is)\\s*ALTER\\s+TABLE\\s+$name\\s+ALTER\\s+(?:COLUMN\\s+)?$name\\s+SET\\s+MASK\\s+$name(?:\\s+USING\\s+COLUMNS\\s*\\(([^)]*)\\))?\\s*;?\\s*".r
  private val unmask = s"(?is)\\s*ALTER\\s+TABLE\\s+$name\\s+ALTER\\s+(?:COLUMN\\s+)?$name\\s+DROP\\s+MASK\\s*;?\\s*".r
  private val filter = s"(?is)\\s*ALTER\\s+TABLE\\s+$name\\s+SET\\s+ROW\\s+FILTER\\s+$name\\s+ON\\s*\\(([^)]*)\\)\\s*;?\\s*".r
  private val unfilter = s"(?is)\\s*ALTER\\s+TABLE\\s+$name\\s+DROP\\s+ROW\\s+FILTER\\s*;?\\s*".r
  private val tags = s"(?is)\\s*ALTER\\s+(CATALOG|SCHEMA|DATABASE|TABLE|VIEW|VOLUME)\\s+$name\\s+(?:ALTER\\s+(?:COLUMN\\s+)?$name\\s+)?(SET|UNSET)\\s+TAGS\\s*\\((.*)\\)\\s*;?\\s*".r
  private val use = "(?is)\\s*USE\\s+CATALOG\\s+(\\S+?)\\s*;?\\s*".r

  def parse(text: String): Option[LogicalPlan] = text match {
    case mask(table, column, function, using) => Some(SetMask(parts(table), unquoted(column), Some(Binding(parts(function), list(using)))))
    case unmask(table, column) => Some(SetMask(parts(table), unquoted(column), None))
    case filter(table, function, using) => Some(SetRowFilter(parts(table), Some(Binding(parts(function), list(using)))))
    case unfilter(table) => Some(SetRowFilter(parts(table), None))
    case tags(kind, name, column, verb, given) => Some(SetTags(securable(kind), parts(name), Option(column).map(unquoted), verb.equalsIgnoreCase("SET"), pairs(given)))
    case use(name) => Some(UseCatalog(unquoted(name)))
    case change(verb, privileges, kind, name, principal) =>
      val spelt = privileges.split(",").map(_.trim.toUpperCase(Locale.ROOT).replaceAll("\\s+", "_")).toSeq
      Some(ChangeGrants(verb.equalsIgnoreCase("GRANT"), spelt, securable(kind), unquoted(name), unquoted(principal)))
    case show(principal, kind, name) => Some(ShowGrants(Option(principal).map(unquoted), securable(kind), unquoted(name)))
    case _ => None
  }

  private def parts(name: String): Seq[String] = "`[^`]+`|[^.`]+".r.findAllIn(name).map(unquoted).toSeq

  private def list(names: String): Seq[String] = Option(names).toSeq.flatMap(_.split(",")).map(each => unquoted(each.trim)).filter(_.nonEmpty)

  /** `'key' = 'value', 'key'` */
  private def pairs(given: String): Seq[(String, String)] = {
    val pair = "\\s*(?:'((?:[^']|'')*)'|\"([^\"]*)\")(?:\\s*=\\s*(?:'((?:[^']|'')*)'|\"([^\"]*)\"))?\\s*(?:,|$)".r
    pair.findAllMatchIn(given).map { found =>
      def text(one: Int, other: Int) = Option(found.group(one)).orElse(Option(found.group(other))).getOrElse("").replace("''", "'")
      text(1, 2) -> text(3, 4)
    }.toSeq
  }

  private def securable(kind: String): String = Option(kind).map(_.toUpperCase(Locale.ROOT)) match {
    case None | Some("VIEW") => "table"
    case Some("DATABASE") => "schema"
    case Some(other) => other.toLowerCase(Locale.ROOT).replace(' ', '_')
  }

  private def unquoted(name: String): String = name.replace("`", "")

  def path(kind: String, name: String): String = s"/api/2.1/unity-catalog/permissions/$kind/${UnityCatalog.quote(name)}"
}

final case class UseCatalog(name: String) extends LeafRunnableCommand {
  override def run(session: SparkSession): Seq[Row] = {
    UnityCatalog.call(Caller.current, "GET", s"/api/2.1/unity-catalog/catalogs/${UnityCatalog.quote(name)}")
    new EstateNames(session).add(name)
    session.asInstanceOf[org.apache.spark.sql.classic.SparkSession].sessionState.catalogManager.setCurrentCatalog(name)
    Nil
  }
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
