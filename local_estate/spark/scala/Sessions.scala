package mt.estate

import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicReference

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import com.fasterxml.jackson.databind.JsonNode

import org.apache.spark.SparkConf
import org.apache.spark.sql.classic.SparkSession

/** Spark sessions bound to a principal. */
object Bound {
  private val reserved = Seq("estate.", "spark.sql.catalog.", "spark.sql.extensions", "spark.delta.logStore", "spark.hadoop.", "spark.sql.defaultCatalog", "spark.jars", "spark.driver.extraClassPath")

  /** Configuration that a task asks for. What would touch governance is refused; what only a new JVM could change is skipped. */
  def configure(session: SparkSession, conf: JsonNode): Unit =
    Option(conf).foreach(_.properties().asScala.foreach { entry =>
      val key = entry.getKey
      reserved.find(key.startsWith).foreach(_ => throw NotSupported(s"setting $key for a task"))
      if (session.conf.isModifiable(key) || !key.startsWith("spark.sql.")) session.conf.set(key, entry.getValue.asText())
    })

  /** Runs `work` on a thread that acts as `caller` in `session`; threads it starts inherit both. */
  def run[T](session: SparkSession, caller: Caller, tag: String)(work: => T): T = {
    val outcome = new AtomicReference[Either[Throwable, T]]()
    val thread = new Thread(() => {
      val result =
        try {
          session.sparkContext.setLocalProperty(Caller.Property, caller.key)
          session.sparkContext.addJobTag(tag)
          org.apache.spark.sql.SparkSession.setActiveSession(session)
          Right(work)
        } catch { case failure: Throwable => Left(failure) }
      outcome.set(result)
    }, s"estate-$tag")
    thread.setDaemon(true)
    thread.start()
    thread.join()
    outcome.get().fold(failure => throw failure, identity)
  }

  def caller(body: JsonNode): Caller = Caller.open(Json.text(body, "principal"), Json.text(body, "token"), Json.text(body, "workspace_url"))

  def forget(caller: Caller): Unit = {
    Caller.close(caller)
    UnityCatalog.forget(caller)
    GovernedPaths.forget(caller)
  }
}

/** One session and one Py4J server for each task that asked for Spark. */
final class Sessions(base: SparkSession) {
  private final case class Open(session: SparkSession, caller: Caller, tag: String, gateway: Gateway)
  private val open = new ConcurrentHashMap[String, Open]()

  def count: Int = open.size

  def open(body: JsonNode): JsonNode = {
    val id = Secrets.random()
    val caller = Bound.caller(body)
    val tag = s"task-${id.take(8)}"
    try {
      val session = base.newSession().asInstanceOf[SparkSession]
      session.conf.set(Caller.Property, caller.key)
      Bound.configure(session, body.get("conf"))
      // Connections of the Py4J server run on threads that this one starts, so each acts as the caller.
      val gateway = Bound.run(session, caller, tag)(Gateway.start(session.sparkContext.getConf))
      open.put(id, Open(session, caller, tag, gateway))
      Json.obj("session_id" -> id, "gateway_port" -> gateway.port, "gateway_secret" -> gateway.secret)
    } catch { case failure: Throwable => Bound.forget(caller); throw failure }
  }

  def close(id: String): Unit = Option(open.remove(id)).foreach { known =>
    known.session.streams.active.foreach(query => try query.stop() catch { case NonFatal(_) => () })
    base.sparkContext.cancelJobsWithTag(known.tag)
    known.gateway.shutdown()
    Bound.forget(known.caller)
  }
}

/** Spark's own Py4J server, which is private to Spark. */
final class Gateway(server: AnyRef) {
  private def call(name: String): AnyRef = server.getClass.getMethod(name).invoke(server)
  val port: Int = call("getListeningPort").asInstanceOf[Integer]
  val secret: String = call("secret").asInstanceOf[String]
  def shutdown(): Unit = try call("shutdown") catch { case NonFatal(_) => () }
}

object Gateway {
  def start(conf: SparkConf): Gateway = {
    val server = Class.forName("org.apache.spark.api.python.Py4JServer").getConstructor(classOf[SparkConf]).newInstance(conf).asInstanceOf[AnyRef]
    server.getClass.getMethod("start").invoke(server)
    new Gateway(server)
  }
}
