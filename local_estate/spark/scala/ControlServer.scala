package mt.estate

import java.io.{BufferedReader, InputStreamReader}
import java.net.{InetAddress, InetSocketAddress}
import java.nio.charset.StandardCharsets
import java.util.concurrent.Executors

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import com.fasterxml.jackson.databind.JsonNode
import com.sun.net.httpserver.{HttpExchange, HttpServer}

import org.apache.spark.sql.classic.SparkSession

/** The warm JVM. Its first line of input is its configuration, its first line of output its address; it ends when its input does. */
object ControlServer {
  def main(arguments: Array[String]): Unit = {
    val input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))
    val configuration = Json.mapper.readTree(input.readLine())
    val announce = System.out
    System.setOut(System.err) // whatever else prints goes to the log

    val builder = org.apache.spark.sql.SparkSession.builder().appName("local-estate")
    configuration.get("conf").properties().asScala.foreach(entry => builder.config(entry.getKey, entry.getValue.asText()))
    val session = builder.getOrCreate().asInstanceOf[SparkSession]
    SelfTest.run(session)
    Caller.attach(session.sparkContext)
    org.apache.spark.sql.SparkSession.clearActiveSession()

    val server = new ControlServer(session, configuration.get("secret").asText())
    announce.println(Json.obj("port" -> server.start(), "pid" -> ProcessHandle.current().pid()).toString)
    announce.flush()
    while (input.readLine() != null) ()
    Runtime.getRuntime.halt(0) // the service is gone; nothing here outlives it
  }
}

/** Refuses to start a JVM that would not deny: a missing extension class only warns, and its sessions govern nothing. */
object SelfTest {
  def run(session: SparkSession): Unit = {
    val configuration = session.sparkContext.hadoopConfiguration
    val denials: Seq[(String, () => Any)] = Seq(
      "a table by name" -> (() => session.newSession().sql("SELECT * FROM estate_self_test.s.t")),
      "a volume by path" -> (() => session.newSession().read.text("/Volumes/estate_self_test/s/v/x")),
      "a storage path" -> (() => session.newSession().read.text("abfss://c@estateselftest.dfs.core.windows.net/x")),
      "the estate's files" -> (() => session.newSession().read.text(s"file:${GovernedPaths.home}/adls/x")))
    denials.foreach { case (what, attempt) =>
      val denied =
        try { attempt(); false }
        catch { case failure: Throwable => Iterator.iterate(failure)(_.getCause).takeWhile(_ != null).exists(_.isInstanceOf[PermissionDenied]) }
      if (!denied) refuse(s"$what is not denied to nobody")
    }
    // The check rule must be among the analyser's: a denial by the catalog alone is not enough.
    val rules = session.newSession().asInstanceOf[SparkSession].sessionState.analyzer.extendedCheckRules
    if (!rules.exists(_.isInstanceOf[PrivilegeCheck])) refuse("the privilege check is not part of the analyser")
    if (!configuration.get("fs.defaultFS", "").startsWith("dbfs:")) refuse("the default file system is not the governed one")
    Seq("abfss", "dbfs").foreach { scheme =>
      if (session.conf.getOption(s"spark.delta.logStore.$scheme.impl").forall(_ != classOf[EstateLogStore].getName)) refuse(s"Delta's log store for $scheme is not the governed one")
    }
  }

  private def refuse(reason: String): Unit = {
    System.err.println(s"data plane refused to start: $reason")
    System.exit(78)
  }
}

/** Loopback HTTP with a secret header: sessions for tasks, SQL for clients. */
final class ControlServer(base: SparkSession, secret: String) {
  private val sessions = new Sessions(base)
  private val statements = new Statements(base)
  private val started = System.currentTimeMillis()

  def start(): Int = {
    val http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress, 0), 64)
    http.setExecutor(Executors.newCachedThreadPool { (work: Runnable) =>
      val thread = new Thread(work, "estate-control")
      thread.setDaemon(true)
      thread
    })
    http.createContext("/", (exchange: HttpExchange) => serve(exchange))
    http.start()
    http.getAddress.getPort
  }

  private def serve(exchange: HttpExchange): Unit = {
    val (status, body) =
      if (!same(exchange.getRequestHeaders.getFirst("X-Estate-Secret"))) 403 -> Json.obj("error" -> "wrong secret")
      else
        try 200 -> answer(exchange.getRequestMethod, exchange.getRequestURI.getPath.stripPrefix("/").split("/").toList, read(exchange))
        catch {
          case failure: NoSuchElementException => 404 -> Json.obj("error" -> failure.getMessage)
          case NonFatal(failure) => 400 -> Json.obj("error" -> Failures.of(failure))
          case fatal: LinkageError => 500 -> Json.obj("error" -> Failures.of(fatal))
        }
    val bytes = body.toString.getBytes(StandardCharsets.UTF_8)
    exchange.getResponseHeaders.set("Content-Type", "application/json")
    exchange.sendResponseHeaders(status, bytes.length)
    exchange.getResponseBody.write(bytes)
    exchange.close()
  }

  private def same(given: String): Boolean =
    given != null && java.security.MessageDigest.isEqual(given.getBytes(StandardCharsets.UTF_8), secret.getBytes(StandardCharsets.UTF_8))

  private def read(exchange: HttpExchange): JsonNode = {
    val bytes = exchange.getRequestBody.readAllBytes()
    if (bytes.isEmpty) Json.obj() else Json.mapper.readTree(bytes)
  }

  private def answer(method: String, path: List[String], body: JsonNode): JsonNode = (method, path) match {
    case ("GET", List("health")) =>
      val heap = Runtime.getRuntime
      Json.obj("status" -> "ok", "pid" -> ProcessHandle.current().pid(), "sessions" -> sessions.count, "uptime_ms" -> (System.currentTimeMillis() - started),
        "heap_used_bytes" -> (heap.totalMemory() - heap.freeMemory()), "heap_max_bytes" -> heap.maxMemory(), "spark_version" -> base.version)
    case ("POST", List("sessions")) => sessions.open(body)
    case ("DELETE", List("sessions", id)) => sessions.close(id); Json.obj()
    case ("POST", List("sql")) => statements.execute(body)
    case ("DELETE", List("sql", id)) => statements.cancel(id); Json.obj()
    case _ => throw new NoSuchElementException(s"$method /${path.mkString("/")}")
  }
}

object Failures {
  /** `{error_class, sql_state, message}` of the most telling cause. */
  def of(failure: Throwable): JsonNode = {
    val chain = Iterator.iterate(failure)(_.getCause).takeWhile(_ != null).take(20).toSeq
    val known = chain.collect { case named: org.apache.spark.SparkThrowable if named.getCondition != null => (named: Throwable) -> named.getCondition }
    val telling = chain.collectFirst { case denied: PermissionDenied => denied: Throwable }
      .orElse(known.find(_._2 != "TASK_WRITE_FAILED").orElse(known.headOption).map(_._1)) // that one only says that a row's error stopped a write
      .orElse(chain.collectFirst { case api: ApiFailure => api: Throwable })
      .getOrElse(failure)
    val (condition, state) = telling match {
      case known: org.apache.spark.SparkThrowable => Option(known.getCondition).getOrElse("") -> Option(known.getSqlState).getOrElse("")
      case api: ApiFailure => api.code -> ""
      case _ => "" -> ""
    }
    Json.obj("error_class" -> condition, "sql_state" -> state, "message" -> Option(telling.getMessage).getOrElse(telling.toString))
  }
}
