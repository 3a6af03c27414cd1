package mt.estate

import java.security.SecureRandom
import java.util.concurrent.ConcurrentHashMap

import org.apache.spark.{QueryContext, SparkContext, TaskContext}
import org.apache.spark.sql.{AnalysisException, SparkSession}

/** The run-as principal of one session. `key` is what travels with jobs and tasks; the token never leaves this JVM's memory. */
final class Caller(val key: String, val principal: String, val token: String, val workspaceUrl: String) {
  override def toString: String = s"Caller($principal)"
}

object Caller {
  /** Both a Spark SQL configuration (cloned into streaming sessions) and a local property (inherited by threads, sent to tasks). */
  val Property = "estate.session"

  private val callers = new ConcurrentHashMap[String, Caller]()
  @volatile private var context: Option[SparkContext] = None

  def attach(sparkContext: SparkContext): Unit = context = Some(sparkContext)

  def open(principal: String, token: String, workspaceUrl: String): Caller = {
    val caller = new Caller(Secrets.random(), principal, token, workspaceUrl.stripSuffix("/"))
    callers.put(caller.key, caller)
    caller
  }

  def close(caller: Caller): Unit = callers.remove(caller.key)

  def count: Int = callers.size

  /** Who acts on this thread: a task's session, else the driver thread's, else the active session's. */
  def find: Option[Caller] =
    Option(TaskContext.get()) match {
      case Some(task) => byKey(task.getLocalProperty(Property))
      case None =>
        context.flatMap(running => byKey(running.getLocalProperty(Property)))
          .orElse(SparkSession.getActiveSession.flatMap(of))
    }

  def of(session: SparkSession): Option[Caller] = session.conf.getOption(Property).flatMap(key => byKey(key))

  /** Nobody is refused: a thread that lost its session must not act as someone. */
  def current: Caller = find.getOrElse(throw PermissionDenied("no principal is bound to this session; use the session that the task was given"))

  /** Who `session` is being analysed for. */
  def acting(session: SparkSession): Caller = find.orElse(of(session)).getOrElse(current)

  private def byKey(key: String): Option[Caller] = Option(key).flatMap(known => Option(callers.get(known)))
}

object Secrets {
  private val generator = new SecureRandom()

  def random(): String = {
    val bytes = new Array[Byte](24)
    generator.nextBytes(bytes)
    java.util.Base64.getUrlEncoder.withoutPadding.encodeToString(bytes)
  }
}

/** A denial as Databricks words it. A subclass of AnalysisException by its full constructor: a message override is lost when Spark rewraps. */
final class PermissionDenied(text: String)
    extends AnalysisException(
      s"[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\n$text SQLSTATE: 42501",
      None,
      None,
      None,
      Some("INSUFFICIENT_PERMISSIONS"),
      Map("report" -> text),
      Array.empty[QueryContext],
      Some("42501"),
      None)

object PermissionDenied {
  def apply(text: String): PermissionDenied = new PermissionDenied(if (text.endsWith(".")) text else text + ".")
}

/** What the local estate cannot do is refused by name. */
object NotSupported {
  def apply(what: String): AnalysisException =
    new AnalysisException("UNSUPPORTED_FEATURE", "0A000", "the local estate does not support <what>", Map("what" -> what), None, Some(s"[UNSUPPORTED_FEATURE] the local estate does not support $what. SQLSTATE: 0A000"))
}
