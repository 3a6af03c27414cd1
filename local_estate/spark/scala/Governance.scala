package mt.estate

import io.delta.sql.parser.DeltaSqlParser

import org.apache.spark.sql.{SparkSession, SparkSessionExtensions}
import org.apache.spark.sql.catalyst.{FunctionIdentifier, TableIdentifier}
import org.apache.spark.sql.catalyst.analysis._
import org.apache.spark.sql.catalyst.catalog.CatalogTable
import org.apache.spark.sql.catalyst.expressions.{Expression, SubqueryExpression}
import org.apache.spark.sql.catalyst.parser.{ParameterContext, ParseException, ParserInterface}
import org.apache.spark.sql.catalyst.plans.logical._
import org.apache.spark.sql.catalyst.streaming.StreamingRelationV2
import org.apache.spark.sql.connector.catalog.{CatalogPlugin, Identifier, Table}
import org.apache.spark.sql.delta.catalog.DeltaTableV2
import org.apache.spark.sql.execution.datasources.{HadoopFsRelation, LogicalRelation}
import org.apache.spark.sql.execution.datasources.v2.DataSourceV2Relation
import org.apache.spark.sql.execution.streaming.runtime.StreamingRelation
import org.apache.spark.sql.types.{DataType, StructType}

/** Everything that governs a session hangs here. */
class EstateExtensions extends (SparkSessionExtensions => Unit) {
  override def apply(extensions: SparkSessionExtensions): Unit = {
    PrincipalFunctions.all.foreach(extensions.injectFunction)
    extensions.injectHintResolutionRule(session => new FunctionRule(session))
    extensions.injectResolutionRule(session => new PrincipalRule(session))
    extensions.injectResolutionRule(_ => new ChangeRule)
    extensions.injectPostHocResolutionRule(session => new PolicyRule(session.asInstanceOf[org.apache.spark.sql.classic.SparkSession]))
    extensions.injectCheckRule(session => new PrivilegeCheck(session))
  }
}

/** Listed after Delta's extension: its parser drops the parameters of a statement, so ours stands around it. */
class EstateSqlExtensions extends (SparkSessionExtensions => Unit) {
  override def apply(extensions: SparkSessionExtensions): Unit =
    extensions.injectParser((session, parser) => new EstateParser(session, parser))
}

/** The authority: every table and path of an analysed plan, against the privileges of whoever runs it. */
class PrivilegeCheck(session: SparkSession) extends (LogicalPlan => Unit) {
  private lazy val catalogs = new EstateNames(session)

  override def apply(plan: LogicalPlan): Unit = {
    Nameless.refuse(plan)
    val needs = if (Definers.resolvingView) Nil else collect(plan).distinct
    if (needs.nonEmpty) {
      val caller = Caller.acting(session)
      UnityCatalog.require(caller, needs.collect { case Named(check) => check }: _*)
      needs.foreach {
        case Located(path, privilege, direct) => checkPath(caller, path, privilege, direct)
        case _ => ()
      }
    }
  }

  private sealed trait Need { def through(link: String): Need }
  private final case class Named(check: Check) extends Need { def through(link: String): Need = Named(check.copy(through = link +: check.through)) }
  private final case class Located(path: String, privilege: String, direct: Boolean) extends Need { def through(link: String): Need = this }

  private def collect(plan: LogicalPlan): Seq[Need] = plan match {
    case view: View if !view.isTempView => named(view.desc, "SELECT") match {
      case Some(need @ Named(check)) => need +: collect(view.child).map(_.through(Views.link(check.fullName)))
      case _ => collect(view.child)
    }
    case other => collectHere(other)
  }

  private def collectHere(plan: LogicalPlan): Seq[Need] = {
    Changes.refuse(plan)
    if (plan.children.isEmpty) Protection.of(plan).foreach(_ => throw Protection.refuse(s"reading ${Protection.name(plan)} in a ${plan.nodeName}, which its masks and row filters do not reach"))
    val here: Seq[Need] = plan match {
      case write: V2WriteCommand => target(write.table, "MODIFY")
      case relation: LogicalRelation => leaf(relation)
      case relation: DataSourceV2Relation => table(relation.table, relation.catalog, relation.identifier, "SELECT")
      case stream: StreamingRelation =>
        stream.dataSource.catalogTable.flatMap(named(_, "SELECT")).map(Seq(_))
          .getOrElse(stream.dataSource.options.get("path").toSeq.map(Located(_, "SELECT", direct = true)))
      case stream: StreamingRelationV2 => table(stream.table, stream.catalog, stream.identifier, "SELECT")
      case command: Command => commanded(command)
      case _ => Nil
    }
    // The target of an INSERT is no child; MERGE, UPDATE and DELETE have theirs among the children and so need SELECT on it too.
    // What a command holds; of other nodes the inner children are subqueries, which are reached by the expressions that hold them.
    val inner = if (plan.isInstanceOf[Command]) plan.innerChildren.collect { case held: LogicalPlan => held } else Nil
    val below = plan.children ++ inner
    here ++ below.filterNot(_ eq plan).flatMap(collect) ++ plan.expressions.flatMap(nested)
  }

  /** Subqueries; those of a SQL function are its owner's. */
  private def nested(expression: Expression): Seq[Need] = expression match {
    case call: SQLScalarFunction if call.function.name.catalog.isDefined => call.children.flatMap(nested).map(_.through(Views.functionLink(call.function.name.unquotedString)))
    case subquery: SubqueryExpression => collect(subquery.plan) ++ subquery.children.flatMap(nested)
    case other => other.children.flatMap(nested)
  }

  private def target(relation: LogicalPlan, privilege: String): Seq[Need] = relation match {
    case v2: DataSourceV2Relation => table(v2.table, v2.catalog, v2.identifier, privilege)
    case v1: LogicalRelation => v1.catalogTable.flatMap(named(_, privilege)).toSeq
    case SubqueryAlias(_, child) => target(child, privilege)
    case Project(_, child) => target(child, privilege)
    case _ => relation.children.flatMap(target(_, privilege))
  }

  private def table(found: Table, catalog: Option[CatalogPlugin], identifier: Option[Identifier], privilege: String): Seq[Need] = (found, catalog, identifier) match {
    // A table that is being created has no name yet; CREATE was authorised before its files.
    case (_: StagedEstateTable, _, _) => Nil
    case (_, Some(_: EstateCatalog), Some(ident)) => Seq(Named(Check(privilege, "TABLE", catalogs.full(catalog.get.name(), ident))))
    case (delta: DeltaTableV2, _, _) => deltaTable(delta, privilege)
    case _ => Nil
  }

  private def deltaTable(delta: DeltaTableV2, privilege: String): Seq[Need] =
    delta.catalogTable.flatMap(named(_, privilege)).map(Seq(_)).getOrElse(Seq(Located(delta.path.toString, privilege, direct = true)))

  private def named(table: CatalogTable, privilege: String): Option[Need] = table.identifier match {
    case TableIdentifier(name, Some(schema), Some(catalog)) if catalogs.ours(catalog) =>
      Some(Named(Check(privilege, "TABLE", s"$catalog.$schema.$name".toLowerCase(java.util.Locale.ROOT))))
    case _ => None
  }

  private def leaf(relation: LogicalRelation): Seq[Need] =
    relation.catalogTable.flatMap(named(_, "SELECT")).map(Seq(_)).getOrElse(relation.relation match {
      case files: HadoopFsRelation =>
        // Delta reads its own log and files through relations without a name; the command that does so was checked by name.
        val index = files.location.getClass.getName
        val direct = !relation.isStreaming && (!index.startsWith("org.apache.spark.sql.delta.") || index.endsWith(".TahoeLogFileIndex"))
        files.location.rootPaths.take(20).map(path => Located(path.toString, "SELECT", direct))
      case _ => Nil
    })

  /** Commands that only look. What is not listed here changes its table. */
  private val looking = Set("DescribeRelation", "DescribeColumn", "DescribeTableJson", "ShowColumns", "ShowTableProperties", "ShowCreateTable", "DescribeDeltaHistory", "DescribeDeltaHistoryCommand",
    "DescribeDeltaDetailCommand", "DeltaGenerateCommand", "RefreshTable", "CacheTable", "CacheTableAsSelect", "UncacheTable", "ShowPartitions", "AnalyzeTable", "DropTable", "CreateView", "CreateViewCommand")

  private def commanded(command: Command): Seq[Need] = {
    val privilege = if (looking(command.nodeName)) "SELECT" else "MODIFY"
    val children = command.children.flatMap {
      case resolved: ResolvedTable => table(resolved.table, Some(resolved.catalog), Some(resolved.identifier), privilege)
      case other if Changes.first(command) && (other eq command.children.head) => target(other, privilege)
      case _ => Nil
    }
    val parameters = command.productIterator.flatMap {
      case delta: DeltaTableV2 => deltaTable(delta, privilege)
      case Some(delta: DeltaTableV2) => deltaTable(delta, privilege)
      case catalogTable: CatalogTable => named(catalogTable, privilege).toSeq
      case _ => Nil
    }
    children ++ parameters
  }

  private def checkPath(caller: Caller, path: String, privilege: String, direct: Boolean): Unit = {
    val name = governedName(path)
    name.foreach { governed =>
      val found = GovernedPaths.govern(caller, governed, if (privilege == "MODIFY") GovernedPaths.Write else GovernedPaths.Read)
      if (direct && found.securableType == "TABLE")
        throw PermissionDenied(s"the path $governed belongs to table ${found.fullName}; access it by name")
    }
  }

  private def governedName(path: String): Option[String] =
    if (path.startsWith("abfss://")) Some(path)
    else if (path.startsWith("dbfs:/Volumes/")) Some(path.stripPrefix("dbfs:"))
    else if (path.startsWith("/Volumes/")) Some(path)
    else None // other schemes: the FileSystem decides
}

/** Which catalog names of a session are Unity Catalog's. */
class EstateNames(session: SparkSession) {
  private val plugin = classOf[EstateCatalog].getName
  private val foreign = Set("spark_catalog", "system", "session", "delta", "parquet", "json", "csv", "text", "orc", "avro", "binaryfile")

  def ours(catalog: String): Boolean = session.conf.getOption(s"spark.sql.catalog.$catalog").contains(plugin)

  def full(catalog: String, ident: Identifier): String =
    s"$catalog.${ident.namespace().mkString(".")}.${ident.name()}".toLowerCase(java.util.Locale.ROOT)

  /** The full name of a function, if its parts may name one of Unity Catalog's. What Spark itself knows by one part, stays Spark's. */
  def function(parts: Seq[String], path: Option[Seq[String]]): Option[String] = {
    def known(catalog: String) = { add(catalog); ours(catalog) }
    val named = parts match {
      case Seq(catalog, _, _) if known(catalog) => Some(parts)
      case Seq(name) => complete(parts, path).filterNot(_ => sparksOwn(name))
      case Seq(_, _) => complete(parts, path)
      case _ => None
    }
    named.map(_.mkString(".").toLowerCase(java.util.Locale.ROOT))
  }

  /** Of a function that a statement makes or drops. */
  def definition(parts: Seq[String]): String = {
    parts.headOption.filter(_ => parts.length == 3).foreach(add)
    (if (parts.length == 3 && ours(parts.head)) Some(parts) else if (parts.length < 3) complete(parts) else None)
      .map(_.mkString(".").toLowerCase(java.util.Locale.ROOT))
      .getOrElse(throw Nameless(s"${parts.mkString(".")} names no function of Unity Catalog"))
  }

  private def complete(parts: Seq[String], path: Option[Seq[String]] = None): Option[Seq[String]] =
    path.orElse(EstateNames.using(session)).filter(using => ours(using.head)).map(using => using.take(3 - parts.length) ++ parts)

  private def sparksOwn(name: String): Boolean = {
    val registry = session.asInstanceOf[org.apache.spark.sql.classic.SparkSession].sessionState.functionRegistry
    Seq("builtin", "session").exists(schema => registry.functionExists(FunctionIdentifier(name, Some(schema), Some("system"))))
  }

  def add(catalog: String): Unit =
    if (catalog.matches("[A-Za-z0-9_-]+") && !foreign(catalog.toLowerCase(java.util.Locale.ROOT)) && session.conf.getOption(s"spark.sql.catalog.$catalog").isEmpty)
      session.conf.set(s"spark.sql.catalog.$catalog", plugin)
}

/** Makes catalogs known when a name first mentions them. Unity Catalog's own SQL (GRANT …) is recognised here too. */
class EstateParser(session: SparkSession, delegate: ParserInterface) extends ParserInterface {
  private lazy val catalogs = new EstateNames(session)
  @volatile private var listed = 0L

  override def parsePlan(text: String): LogicalPlan = known(UnityCatalogSql.parse(text).getOrElse(delegate.parsePlan(text)))
  override def parsePlanWithParameters(text: String, parameters: ParameterContext): LogicalPlan =
    known(UnityCatalogSql.parse(text).getOrElse(delegate match {
      case delta: DeltaSqlParser if text.matches("(?is)\\s*DESC(RIBE)?\\s+(DETAIL|HISTORY)\\s.*") => delta.parsePlan(text) // to Spark, a column of the table DETAIL
      case delta: DeltaSqlParser =>
        try delta.delegate.parsePlanWithParameters(text, parameters) match {
          // Spark reads these, too, but as plans that Delta's catalog does not carry out.
          case _: AddCheckConstraint | _: AddConstraint | _: DropConstraint => delta.parsePlan(text)
          case plan => plan
        } catch { case _: ParseException => delta.parsePlan(text) } // a statement of Delta's own, which takes none
      case other => other.parsePlanWithParameters(text, parameters)
    }))

  override def parseQuery(text: String): LogicalPlan = known(delegate.parseQuery(text))
  override def parseExpression(text: String): Expression = delegate.parseExpression(text)
  override def parseFunctionIdentifier(text: String): FunctionIdentifier = delegate.parseFunctionIdentifier(text)
  override def parseTableSchema(text: String): StructType = delegate.parseTableSchema(text)
  override def parseDataType(text: String): DataType = delegate.parseDataType(text)
  override def parseRoutineParam(text: String): StructType = delegate.parseRoutineParam(text)

  override def parseTableIdentifier(text: String): TableIdentifier = {
    val identifier = delegate.parseTableIdentifier(text)
    identifier.catalog.foreach(catalogs.add)
    identifier
  }

  override def parseMultipartIdentifier(text: String): Seq[String] = {
    val parts = delegate.parseMultipartIdentifier(text)
    if (parts.length >= 3) catalogs.add(parts.head)
    parts
  }

  /** Functions of Unity Catalog are made and dropped there; Spark knows only those of its own session catalog. */
  private def ours(plan: LogicalPlan): LogicalPlan = plan match {
    case made @ CreateUserDefinedFunction(UnresolvedIdentifier(parts, _), _, _, _, _, _, _, _, _, _, _, _, _) => CreateSqlFunction(catalogs.definition(parts), made)
    case DropFunction(UnresolvedIdentifier(parts, _), ifExists) => DropSqlFunction(catalogs.definition(parts), ifExists)
    case DropFunction(UnresolvedFunctionName(parts, _, _), ifExists) => DropSqlFunction(catalogs.definition(parts), ifExists)
    case other => other
  }

  private def known(parsed: LogicalPlan): LogicalPlan = {
    val plan = ours(parsed)
    EstateNames.mentioned(plan).foreach { parts =>
      if (parts.length >= 3) catalogs.add(parts.head)
      else if (parts.nonEmpty && !catalogs.ours(parts.head)) list()
    }
    plan
  }

  /** A one- or two-part name may begin with a catalog that the session has not met. */
  private def list(): Unit = if (System.nanoTime() - listed > 2000000000L) {
    Caller.find.orElse(Caller.of(session)).foreach { caller =>
      UnityCatalog.catalogs(caller).foreach(catalogs.add)
      listed = System.nanoTime()
    }
  }
}

object EstateNames {
  /** The catalog and schema that the session USEs, when the catalog is Unity Catalog's. */
  def using(session: SparkSession): Option[Seq[String]] = {
    val manager = session.asInstanceOf[org.apache.spark.sql.classic.SparkSession].sessionState.catalogManager
    val catalog = manager.currentCatalog
    if (catalog.isInstanceOf[EstateCatalog]) Some(catalog.name() +: manager.currentNamespace.toSeq) else None
  }

  /** Every name of a table, view or schema in a plan as it was parsed. */
  def mentioned(plan: LogicalPlan): Seq[Seq[String]] = {
    val here: Seq[Seq[String]] = plan match {
      case relation: UnresolvedRelation => Seq(relation.multipartIdentifier)
      case identifier: UnresolvedIdentifier => Seq(identifier.nameParts)
      case table: UnresolvedTable => Seq(table.multipartIdentifier)
      case view: UnresolvedView => Seq(view.multipartIdentifier)
      case either: UnresolvedTableOrView => Seq(either.multipartIdentifier)
      case namespace: UnresolvedNamespace => Seq(namespace.multipartIdentifier :+ "")
      case _ => Nil
    }
    // Time travel, INSERT and WITH keep relations in plain fields, so fields are followed, not only children.
    here ++ plan.productIterator.flatMap(within)
  }

  private def within(field: Any): Seq[Seq[String]] = field match {
    case plan: LogicalPlan => mentioned(plan)
    case expression: Expression => expression.collect { case subquery: SubqueryExpression => subquery.plan }.flatMap(mentioned)
    case Some(inner) => within(inner)
    case (left, right) => within(left) ++ within(right)
    case items: Iterable[_] if !items.isInstanceOf[Map[_, _]] => items.toSeq.flatMap(within)
    case _ => Nil
  }
}
