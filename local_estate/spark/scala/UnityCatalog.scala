package mt.estate

import java.io.IOException
import java.net.{URI, URLEncoder}
import java.net.http.{HttpClient, HttpRequest, HttpResponse}
import java.nio.charset.StandardCharsets
import java.time.Duration
import java.util.concurrent.ConcurrentHashMap

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import com.fasterxml.jackson.databind.node.ObjectNode

import org.apache.spark.sql.AnalysisException
import org.apache.spark.sql.types._

/** An error of the service in its own words. */
final class ApiFailure(val status: Int, val code: String, val text: String) extends IOException(s"$code: $text") {
  def missing: Boolean = status == 404
}

object Json {
  val mapper = new ObjectMapper()

  def obj(fields: (String, Any)*): ObjectNode = {
    val node = mapper.createObjectNode()
    fields.foreach { case (name, value) => node.set[ObjectNode](name, of(value)) }
    node
  }

  def of(value: Any): JsonNode = value match {
    case null | None => mapper.nullNode()
    case Some(inner) => of(inner)
    case node: JsonNode => node
    case items: Iterable[_] if !items.isInstanceOf[Map[_, _]] =>
      val array = mapper.createArrayNode()
      items.foreach(item => array.add(of(item)))
      array
    case map: Map[_, _] => obj(map.toSeq.map { case (key, item) => key.toString -> item }: _*)
    case other => mapper.valueToTree[JsonNode](other)
  }

  def text(node: JsonNode, name: String): String = Option(node.get(name)).filterNot(_.isNull).map(_.asText()).getOrElse("")
}

/** One privilege on one securable; the usage chain is part of it. `through`: the views and functions it was reached by, whose owners then count. */
final case class Check(privilege: String, securableType: String, fullName: String, through: Seq[String] = Nil)

/** The principal of a session as SQL names it, and the groups it is in, nested ones included. */
final case class Principal(userName: String, accountGroups: Set[String], workspaceGroups: Set[String])

/** Where the bytes of a governed path are, and what governs it. */
final case class Governed(prefix: String, localPrefix: String, securableType: String, fullName: String)

/** The REST API of the workspace, as one principal. It is the only source of metadata and the only judge of privileges. */
object UnityCatalog {
  private val http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(10)).build()
  private val root = "/api/2.1/unity-catalog"

  /** A decision may be this old; a revoked privilege ends within it. */
  private val fresh = Duration.ofSeconds(5).toNanos

  private final case class Decision(at: Long, refusal: Option[String])
  private val decisions = new ConcurrentHashMap[(String, Check), Decision]()

  def call(caller: Caller, method: String, path: String, body: Option[JsonNode] = None): JsonNode = {
    val request = HttpRequest.newBuilder(URI.create(caller.workspaceUrl + path))
      .timeout(Duration.ofSeconds(60))
      .header("Authorization", "Bearer " + caller.token)
      .header("Content-Type", "application/json")
      .method(method, body.fold(HttpRequest.BodyPublishers.noBody())(node => HttpRequest.BodyPublishers.ofString(node.toString)))
      .build()
    val reply = http.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8))
    val content = if (reply.body().isBlank) Json.obj() else parse(reply)
    if (reply.statusCode() < 300) content
    else {
      val (code, message) = (Json.text(content, "error_code"), Json.text(content, "message"))
      if (reply.statusCode() == 403) throw PermissionDenied(message)
      throw new ApiFailure(reply.statusCode(), code, message)
    }
  }

  private def parse(reply: HttpResponse[String]): JsonNode =
    try Json.mapper.readTree(reply.body())
    catch { case _: IOException => throw new ApiFailure(reply.statusCode(), "INTERNAL_ERROR", s"not JSON: ${reply.body().take(200)}") }

  def quote(name: String): String = URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20")

  private def orNone(answer: => JsonNode): Option[JsonNode] =
    try Some(answer)
    catch { case failure: ApiFailure if failure.missing => None }

  private def listed(caller: Caller, path: String, field: String): Seq[JsonNode] = {
    val first = call(caller, "GET", path)
    val pages = Iterator.iterate(first) { page =>
      val token = Json.text(page, "next_page_token")
      call(caller, "GET", path + (if (path.contains("?")) "&" else "?") + "page_token=" + quote(token))
    }
    val (full, last) = pages.span(page => Json.text(page, "next_page_token").nonEmpty)
    (full ++ last.take(1)).flatMap(page => Option(page.get(field)).map(_.elements().asScala).getOrElse(Iterator.empty)).toSeq
  }

  def catalogs(caller: Caller): Seq[String] = listed(caller, s"$root/catalogs", "catalogs").map(Json.text(_, "name"))

  def schemas(caller: Caller, catalog: String): Seq[JsonNode] = listed(caller, s"$root/schemas?catalog_name=${quote(catalog)}", "schemas")

  def schema(caller: Caller, fullName: String): Option[JsonNode] = orNone(call(caller, "GET", s"$root/schemas/${quote(fullName)}"))

  def createSchema(caller: Caller, body: JsonNode): JsonNode = call(caller, "POST", s"$root/schemas", Some(body))

  def dropSchema(caller: Caller, fullName: String, force: Boolean): Unit =
    call(caller, "DELETE", s"$root/schemas/${quote(fullName)}?force=$force")

  def tables(caller: Caller, catalog: String, schema: String): Seq[JsonNode] =
    listed(caller, s"$root/tables?catalog_name=${quote(catalog)}&schema_name=${quote(schema)}", "tables")

  def table(caller: Caller, fullName: String): Option[JsonNode] = {
    val path = s"$root/tables/${quote(fullName)}?protection=true"
    try orNone(call(caller, "GET", path))
    catch {
      case denied: PermissionDenied =>
        val way = Definers.way(caller, fullName)
        if (way.isEmpty) throw denied else orNone(call(caller, "GET", path + "&through=" + quote(way.mkString(","))))
    }
  }

  /** Of all tables of the catalog that the caller sees, and of their columns. */
  def tags(caller: Caller, catalog: String): Seq[JsonNode] = listed(caller, s"/api/estate/1.0/tags?catalog_name=${quote(catalog)}", "tags")

  def createTable(caller: Caller, body: JsonNode): JsonNode = call(caller, "POST", s"$root/tables", Some(body))

  def patchTable(caller: Caller, fullName: String, body: JsonNode): JsonNode =
    call(caller, "PATCH", s"$root/tables/${quote(fullName)}", Some(body))

  def dropTable(caller: Caller, fullName: String): Boolean = orNone(call(caller, "DELETE", s"$root/tables/${quote(fullName)}")).isDefined

  private final case class Defined(at: Long, function: Option[SqlFunction])
  private val functions = new ConcurrentHashMap[(String, String), Defined]()

  /** What a call of the function stands for, for who may EXECUTE it. A name that is only a guess may be no function's. */
  def function(caller: Caller, fullName: String, explicit: Boolean): Option[SqlFunction] = {
    val cached = Option(functions.get((caller.key, fullName))).filter(System.nanoTime() - _.at <= fresh).getOrElse {
      val found = describeFunction(caller, fullName).map(SqlFunction.of)
      val defined = Defined(System.nanoTime(), found)
      functions.put((caller.key, fullName), defined)
      defined
    }
    if (cached.function.isDefined) require(caller, Check("EXECUTE", "FUNCTION", fullName))
    else if (explicit) throw SqlFunction.refuse("UNRESOLVED_ROUTINE", "42883", s"the function $fullName does not exist; check its name with SHOW FUNCTIONS")
    cached.function
  }

  def describeFunction(caller: Caller, fullName: String): Option[JsonNode] = orNone(call(caller, "GET", s"$root/functions/${quote(fullName)}"))

  def createFunction(caller: Caller, function: JsonNode, replace: Boolean): Unit = {
    call(caller, "POST", s"$root/functions", Some(Json.obj("function_info" -> function, "or_replace" -> replace)))
    functions.clear()
  }

  def dropFunction(caller: Caller, fullName: String): Boolean = {
    functions.clear()
    orNone(call(caller, "DELETE", s"$root/functions/${quote(fullName)}")).isDefined
  }

  /** Reserves an id and a place for a managed table that nobody sees until it is registered. */
  def stage(caller: Caller, catalog: String, schema: String, name: String): JsonNode =
    call(caller, "POST", s"$root/staging-tables", Some(Json.obj("name" -> name, "catalog_name" -> catalog, "schema_name" -> schema)))

  /** None for an allowed check, else the service's reason. */
  def refusals(caller: Caller, checks: Seq[Check]): Seq[Option[String]] = {
    val now = System.nanoTime()
    val stale = checks.distinct.filter(check => Option(decisions.get((caller.key, check))).forall(now - _.at > fresh))
    if (stale.nonEmpty) {
      val asked = stale.map(check =>
        Json.obj("privilege" -> check.privilege, "securable_type" -> check.securableType, "full_name" -> check.fullName, "through" -> check.through))
      val reply = call(caller, "POST", "/api/estate/1.0/authorize", Some(Json.obj("checks" -> asked)))
      stale.zip(reply.get("results").elements().asScala.toSeq).foreach { case (check, result) =>
        val refusal = if (result.get("allowed").asBoolean()) None else Some(Json.text(result, "message"))
        if (Json.text(result, "error_code").endsWith("_DOES_NOT_EXIST")) throw new ApiFailure(404, Json.text(result, "error_code"), refusal.getOrElse(""))
        decisions.put((caller.key, check), Decision(now, refusal))
      }
    }
    checks.map(check => decisions.get((caller.key, check)).refusal)
  }

  /** Throws the first refusal. */
  def require(caller: Caller, checks: Check*): Unit =
    refusals(caller, checks).flatten.headOption.foreach(reason => throw PermissionDenied(reason))

  /** Throws the first refusal unless one of the privileges is held. */
  def requireAny(caller: Caller, checks: Check*): Unit = {
    val reasons = refusals(caller, checks)
    if (reasons.forall(_.isDefined)) throw PermissionDenied(reasons.head.get)
  }

  private final case class Known(at: Long, principal: Principal)
  private val principals = new ConcurrentHashMap[String, Known]()

  def identity(caller: Caller): Principal = Option(principals.get(caller.key)).filter(System.nanoTime() - _.at <= fresh).map(_.principal).getOrElse {
    val reply = call(caller, "GET", "/api/estate/1.0/identity")
    def names(field: String) = reply.get(field).elements().asScala.map(_.asText()).toSet
    val principal = Principal(Json.text(reply, "user_name"), names("account_groups"), names("workspace_groups"))
    principals.put(caller.key, Known(System.nanoTime(), principal))
    principal
  }

  def forget(caller: Caller): Unit = {
    decisions.keySet().removeIf(_._1 == caller.key)
    principals.remove(caller.key)
    Definers.forget(caller)
    functions.keySet().removeIf(_._1 == caller.key)
  }

  def resolve(caller: Caller, path: String, operation: String): Governed = {
    val reply = call(caller, "POST", "/api/estate/1.0/resolve-path", Some(Json.obj("path" -> path, "operation" -> operation)))
    Governed(Json.text(reply, "prefix").stripSuffix("/"), Json.text(reply, "local_prefix").stripSuffix("/"),
      Json.text(reply, "securable_type"), Json.text(reply, "full_name"))
  }

  /** The columns of a table as the REST API spells them. */
  def columns(schema: StructType): Seq[JsonNode] = schema.zipWithIndex.map { case (field, position) =>
    Json.obj(
      "name" -> field.name,
      "type_text" -> field.dataType.catalogString,
      "type_name" -> typeName(field.dataType),
      "type_json" -> StructType(Seq(field)).json.stripPrefix("""{"type":"struct","fields":[""").stripSuffix("]}"),
      "position" -> position,
      "nullable" -> field.nullable,
      "comment" -> field.getComment())
  }

  def typeName(dataType: DataType): String = dataType match {
    case ByteType => "BYTE"
    case ShortType => "SHORT"
    case IntegerType => "INT"
    case LongType => "LONG"
    case _: DecimalType => "DECIMAL"
    case TimestampNTZType => "TIMESTAMP_NTZ"
    case _: YearMonthIntervalType | _: DayTimeIntervalType | CalendarIntervalType => "INTERVAL"
    case _: CharType => "CHAR"
    case NullType => "NULL"
    case other => other.typeName.toUpperCase(java.util.Locale.ROOT).takeWhile(letter => letter.isLetter || letter == '_')
  }
}
