package mt.estate

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.{FunctionIdentifier, InternalRow}
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenFallback
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.catalyst.trees.TreePattern.CURRENT_LIKE
import org.apache.spark.sql.estate.Bridge
import org.apache.spark.sql.types.{BooleanType, DataType, StringType}
import org.apache.spark.unsafe.types.UTF8String

/** Who the session runs as. The answer is part of the expression, so a plan that one principal cached is never equal to another's. */
final case class SessionUser(user: String) extends LeafExpression with CodegenFallback {
  override def foldable: Boolean = true
  override def nullable: Boolean = false
  override def dataType: DataType = StringType
  override def prettyName: String = "current_user"
  override def sql: String = s"$prettyName()"
  override def eval(input: InternalRow): Any = UTF8String.fromString(user)
}

/** Whether the principal of the session is in a group; its groups are part of the expression for the same reason. */
final case class GroupMember(function: String, child: Expression, groups: Set[String]) extends UnaryExpression with ExpectsInputTypes with CodegenFallback {
  override def inputTypes: Seq[DataType] = Seq(StringType)
  override def nullIntolerant: Boolean = true
  override def dataType: DataType = BooleanType
  override def prettyName: String = function
  override def sql: String = s"$function(${child.sql})"
  override def toString: String = s"$function($child)"
  override def nullSafeEval(group: Any): Any = groups.contains(group.toString)
  override protected def withNewChildInternal(newChild: Expression): Expression = copy(child = newChild)
}

/** Spark would ask the operating system for `current_user()`, when it optimises and so after its cache was looked up. */
class PrincipalRule(session: SparkSession) extends Rule[LogicalPlan] {
  override def apply(plan: LogicalPlan): LogicalPlan = plan.resolveExpressionsWithPruning(_.containsPattern(CURRENT_LIKE)) {
    case CurrentUser() => SessionUser(UnityCatalog.identity(Caller.acting(session)).userName)
  }
}

object PrincipalFunctions {
  type Described = (FunctionIdentifier, ExpressionInfo, Seq[Expression] => Expression)

  val all: Seq[Described] = Seq(
    membership("is_account_group_member", _.accountGroups),
    membership("is_member", _.workspaceGroups))

  private def membership(name: String, groups: Principal => Set[String]): Described =
    (FunctionIdentifier(name), new ExpressionInfo(classOf[GroupMember].getName, name), {
      case Seq(group) => GroupMember(name, group, groups(UnityCatalog.identity(Caller.current)))
      case others => throw Bridge.wrongNumberOfArguments(name, 1, others.length)
    })
}
