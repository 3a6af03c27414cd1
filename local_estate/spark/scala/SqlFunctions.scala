package mt.estate

import java.util.Locale

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.JsonNode

import org.apache.spark.sql.{AnalysisException, Row, SparkSession}
import org.apache.spark.sql.catalyst.FunctionIdentifier
import org.apache.spark.sql.catalyst.analysis._
import org.apache.spark.sql.catalyst.catalog.{CatalogTable, SQLFunction}
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.parser.ParserInterface
import org.apache.spark.sql.catalyst.plans.logical._
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.catalyst.trees.TreePattern.UNRESOLVED_FUNCTION
import org.apache.spark.sql.execution.command.LeafRunnableCommand
import org.apache.spark.sql.types._

/** A SQL function of Unity Catalog. A call is replaced by its body, so that it may stand wherever an expression may.
 *  `path` is the catalog and schema in which the body's short names are read: those that were in use when it was made. */
final class SqlFunction(val fullName: String, val parameters: StructType, returns: DataType, body: String, val path: Seq[String], val refersTo: Seq[String], kept: Boolean = true) {
  /** The same before Unity Catalog has it: what it refers to is then reached with the rights of who makes it. */
  def draft: SqlFunction = new SqlFunction(fullName, parameters, returns, body, path, refersTo, kept = false)

  private def query: Boolean = body.matches("(?is)\\s*(SELECT|WITH|FROM|VALUES|TABLE)\\b.*")

  def call(parser: ParserInterface, arguments: Seq[Expression]): Expression = {
    val given = bind(arguments)
    val parsed = if (query) None else Some(parser.parseExpression(body)).map { case Alias(child, _) => child; case other => other }
    parsed.filterNot(_.exists(_.isInstanceOf[SubqueryExpression])) match {
      case Some(expression) => Cast(substitute(expression, given, Set.empty), returns)
      case None => asQuery(given) // in a subquery a column goes before a parameter of the same name: Spark's own expansion knows how
    }
  }

  private def bind(arguments: Seq[Expression]): Map[String, Expression] = {
    val (named, positional) = arguments.partition(_.isInstanceOf[NamedArgumentExpression])
    val byName = named.collect { case NamedArgumentExpression(name, value) => name.toLowerCase(Locale.ROOT) -> value }.toMap
    val byPlace = parameters.fieldNames.map(_.toLowerCase(Locale.ROOT)).zip(positional).toMap
    val given = byPlace ++ byName
    if (positional.length > parameters.length || given.size != parameters.length || given.size != arguments.length)
      throw SqlFunction.refuse("WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605", s"$fullName takes ${parameters.length} argument(s) (${parameters.fieldNames.mkString(", ")}), not ${arguments.length}")
    parameters.map(field => field.name.toLowerCase(Locale.ROOT) -> Cast(given(field.name.toLowerCase(Locale.ROOT)), field.dataType)).toMap
  }

  private def substitute(expression: Expression, given: Map[String, Expression], shadowed: Set[String]): Expression = expression match {
    case lambda: LambdaFunction =>
      val names = lambda.arguments.map(_.name.toLowerCase(Locale.ROOT)).toSet
      lambda.copy(function = substitute(lambda.function, given, shadowed ++ names))
    case UnresolvedAttribute(parts) => parameter(parts, given, Set.empty).getOrElse(expression)
    case UnresolvedNamedLambdaVariable(parts) => parameter(parts, given, shadowed).getOrElse(expression)
    case other => other.mapChildren(substitute(_, given, shadowed))
  }

  /** `x`, `f.x` and fields of either. */
  private def parameter(parts: Seq[String], given: Map[String, Expression], shadowed: Set[String]): Option[Expression] = {
    val lower = parts.map(_.toLowerCase(Locale.ROOT))
    def from(at: Int) = given.get(lower(at)).filterNot(_ => shadowed(lower(at)))
      .map(value => parts.drop(at + 1).foldLeft(value)((of, field) => UnresolvedExtractValue(of, Literal(field))))
    from(0).orElse(if (lower.length > 1 && lower.head == fullName.split('.').last) from(1) else None)
  }

  private def asQuery(given: Map[String, Expression]): Expression = {
    val Array(catalog, schema, name) = fullName.split('.')
    val (expression, select) = if (query) (None, Some(body)) else (Some(body), None)
    val function = SQLFunction(if (kept) FunctionIdentifier(name, Some(schema), Some(catalog)) else FunctionIdentifier(name), Some(parameters), scala.util.Left(returns), expression, select,
      None, None, None, None, false, CatalogTable.catalogAndNamespaceToProps(path.head, path.tail), None, 0L)
    SQLFunctionExpression(fullName, function, parameters.map(field => given(field.name.toLowerCase(Locale.ROOT))), Some(returns))
  }
}

object SqlFunction {
  def of(node: JsonNode): SqlFunction = {
    val parameters = Option(node.get("input_params")).flatMap(given => Option(given.get("parameters"))).map(_.elements().asScala.toSeq).getOrElse(Nil)
    val fields = parameters.map(each => StructField(Json.text(each, "name"), DataType.fromDDL(Json.text(each, "type_text"))))
    new SqlFunction(Json.text(node, "full_name"), StructType(fields), DataType.fromDDL(Json.text(node, "full_data_type")), Json.text(node, "routine_definition"),
      Option(Json.text(node, "sql_path")).filter(_.nonEmpty).getOrElse(Json.text(node, "full_name").split('.').init.mkString(".")).split('.').toSeq,
      Views.referred(node.get("routine_dependencies")))
  }

  def refuse(condition: String, state: String, text: String): AnalysisException =
    new AnalysisException(condition, state, text, Map.empty[String, String], None, Some(s"[$condition] $text. SQLSTATE: $state"))
}

/** `catalog.schema.function(…)`, and shorter where the session USEs a catalog: who has EXECUTE gets its body. */
class FunctionRule(session: SparkSession) extends Rule[LogicalPlan] {
  private lazy val names = new EstateNames(session)
  private val deepest = 32

  override def apply(plan: LogicalPlan): LogicalPlan = plan.resolveExpressionsWithPruning(_.containsPattern(UNRESOLVED_FUNCTION)) {
    case call: UnresolvedFunction => expand(call, None, 0)
  }

  /** Bodies may call functions in turn. */
  private def expand(expression: Expression, path: Option[Seq[String]], depth: Int): Expression = expression.transformUp {
    case call: UnresolvedFunction => find(call, path) match {
      case Some(_) if depth == deepest => throw SqlFunction.refuse("RECURSIVE_FUNCTION", "42836", s"${call.nameParts.mkString(".")} calls itself")
      case Some(function) => body(function, call.arguments, depth)
      case None => call
    }
  }

  /** The body of a function, called with these arguments; the privilege to do so is the caller's business. */
  def body(function: SqlFunction, arguments: Seq[Expression], depth: Int = 0): Expression = {
    Definers.open(Caller.acting(session), function.refersTo, Seq(Views.functionLink(function.fullName)))
    expand(function.call(session.asInstanceOf[org.apache.spark.sql.classic.SparkSession].sessionState.sqlParser, arguments), Some(function.path), depth + 1)
  }

  private def find(call: UnresolvedFunction, path: Option[Seq[String]]): Option[SqlFunction] = names.function(call.nameParts, path).flatMap { fullName =>
    val found = UnityCatalog.function(Caller.acting(session), fullName, explicit = call.nameParts.length == 3)
    if (found.isDefined && (call.isDistinct || call.filter.isDefined)) throw NotSupported(s"DISTINCT or FILTER in a call of $fullName")
    found
  }
}

final case class CreateSqlFunction(fullName: String, made: CreateUserDefinedFunction) extends LeafRunnableCommand {
  override def run(session: SparkSession): Seq[Row] = {
    val parser = session.asInstanceOf[org.apache.spark.sql.classic.SparkSession].sessionState.sqlParser
    if (made.isTableFunc) throw NotSupported(s"the table function $fullName")
    if (!made.language.toString.toUpperCase(Locale.ROOT).contains("SQL")) throw NotSupported(s"functions in other languages than SQL ($fullName)")
    val caller = Caller.current
    if (made.ignoreIfExists && UnityCatalog.describeFunction(caller, fullName).isDefined) Nil
    else {
      val body = describe(session, parser, made.inputParamText.map(parser.parseRoutineParam).getOrElse(new StructType()), parser.parseDataType(made.returnTypeText))
      analyse(session, SqlFunction.of(body).draft)
      UnityCatalog.createFunction(caller, body, made.replace)
      Nil
    }
  }

  private def describe(session: SparkSession, parser: ParserInterface, parameters: StructType, returns: DataType): JsonNode = {
    val Array(catalog, schema, name) = fullName.split('.')
    Json.obj(
      "name" -> name, "catalog_name" -> catalog, "schema_name" -> schema, "full_name" -> fullName, "specific_name" -> name,
      "input_params" -> Json.obj("parameters" -> UnityCatalog.columns(parameters).map { column =>
        column.asInstanceOf[com.fasterxml.jackson.databind.node.ObjectNode].remove("nullable")
        column
      }),
      "data_type" -> UnityCatalog.typeName(returns), "full_data_type" -> returns.catalogString,
      "routine_body" -> "SQL", "routine_definition" -> made.queryText.orElse(made.exprText).getOrElse("").trim,
      "routine_dependencies" -> Dependencies.of(made.queryText.orElse(made.exprText.map(text => s"SELECT $text")).map(parser.parseQuery), EstateNames.using(session).getOrElse(Nil)),
      "sql_path" -> EstateNames.using(session).getOrElse(Seq(catalog, schema)).mkString("."), "parameter_style" -> "S", "is_deterministic" -> made.isDeterministic.getOrElse(true), "sql_data_access" -> "READS_SQL_DATA",
      "is_null_call" -> true, "security_type" -> "DEFINER", "comment" -> made.comment)
  }

  /** A body that does not analyse is refused now, not when somebody reads a table that it masks. */
  private def analyse(session: SparkSession, function: SqlFunction): Unit = {
    val classic = session.asInstanceOf[org.apache.spark.sql.classic.SparkSession]
    val nulls = function.parameters.map(field => Literal.create(null, field.dataType))
    classic.sessionState.executePlan(Project(Seq(Alias(function.call(classic.sessionState.sqlParser, nulls), "value")()), OneRowRelation())).assertAnalyzed()
  }
}

final case class DropSqlFunction(fullName: String, ifExists: Boolean) extends LeafRunnableCommand {
  override def run(session: SparkSession): Seq[Row] = {
    if (!UnityCatalog.dropFunction(Caller.current, fullName) && !ifExists)
      throw SqlFunction.refuse("ROUTINE_NOT_FOUND", "42883", s"the function $fullName does not exist; check its name with SHOW FUNCTIONS or leave it out with IF EXISTS")
    Nil
  }
}

/** The tables that a query names. Its owner's rights reach them for whoever may use what it defines. */
object Dependencies {
  /** `using` completes short names. */
  def of(query: Option[LogicalPlan], using: Seq[String]): JsonNode = {
    val full = query.toSeq.flatMap(EstateNames.mentioned(_)).map(parts => using.take(3 - parts.length) ++ parts).filter(_.length == 3).distinct
    val tables = full.map(_.map(_.toLowerCase(Locale.ROOT)).mkString("."))
    Json.obj("dependencies" -> tables.map(name => Json.obj("table" -> Json.obj("table_full_name" -> name))))
  }
}
