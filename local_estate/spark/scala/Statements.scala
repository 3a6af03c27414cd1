package mt.estate

import java.util.concurrent.ConcurrentHashMap

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.JsonNode

import org.apache.spark.sql.{Column, DataFrame}
import org.apache.spark.sql.catalyst.CatalystTypeConverters
import org.apache.spark.sql.catalyst.expressions.{Cast, EvalMode, Literal}
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types._

/** SQL for the statement API: one session for each statement, cells as the API spells them. */
final class Statements(base: SparkSession) {
  private val running = new ConcurrentHashMap[String, String]()

  def execute(body: JsonNode): JsonNode = {
    val caller = Bound.caller(body)
    val id = Option(Json.text(body, "request_id")).filter(_.nonEmpty).getOrElse(Secrets.random())
    val tag = s"sql-${Secrets.random().take(8)}"
    running.put(id, tag)
    try {
      val session = base.newSession().asInstanceOf[SparkSession]
      session.conf.set(Caller.Property, caller.key)
      Bound.run(session, caller, tag) {
        place(session, Json.text(body, "catalog"), Json.text(body, "schema"))
        val limit = Option(body.get("row_limit")).filterNot(_.isNull).map(_.asInt())
        result(session.sql(Json.text(body, "statement"), parameters(session, body.get("parameters"))), limit)
      }
    } finally {
      running.remove(id)
      Bound.forget(caller)
    }
  }

  def cancel(id: String): Unit = Option(running.get(id)).foreach(base.sparkContext.cancelJobsWithTag(_))

  private def place(session: SparkSession, catalog: String, schema: String): Unit = {
    if (catalog.nonEmpty) {
      new EstateNames(session).add(catalog)
      session.sessionState.catalogManager.setCurrentCatalog(catalog)
    }
    if (schema.nonEmpty) session.sessionState.catalogManager.setCurrentNamespace(Array(schema))
  }

  private def parameters(session: SparkSession, given: JsonNode): Map[String, Any] =
    Option(given).map(_.properties().asScala.map { entry =>
      val value = Option(entry.getValue.get("value")).filterNot(_.isNull).map(_.asText())
      val dataType = DataType.fromDDL(Option(Json.text(entry.getValue, "type")).filter(_.nonEmpty).getOrElse("STRING"))
      val cast = value.map(text => Cast(Literal(text), dataType, Some(session.sessionState.conf.sessionLocalTimeZone), EvalMode.ANSI).eval())
      entry.getKey -> cast.map(internal => lit(CatalystTypeConverters.convertToScala(internal, dataType))).getOrElse(lit(null))
    }.toMap[String, Any]).getOrElse(Map.empty)

  private def result(frame: DataFrame, limit: Option[Int]): JsonNode = {
    val schema = frame.schema
    // Names may repeat in a result, so columns are addressed by position.
    val numbered = frame.toDF(schema.indices.map(index => s"c$index"): _*)
    val cells = numbered.select(schema.fields.zipWithIndex.map { case (field, index) => cell(col(s"c$index"), field.dataType).as(s"c$index") }: _*)
    val rows = limit.fold(cells)(most => cells.limit(most + 1)).collect()
    val kept = limit.fold(rows)(rows.take)
    Json.obj(
      "columns" -> schema.fields.toSeq.map(field =>
        Json.obj("name" -> field.name, "type_name" -> UnityCatalog.typeName(field.dataType), "type_text" -> field.dataType.sql)),
      "rows" -> kept.toSeq.map(row => row.toSeq.map(value => Option(value).map(_.toString))),
      "truncated" -> (rows.length > kept.length))
  }

  private def cell(value: Column, dataType: DataType): Column = dataType match {
    case TimestampType => date_format(value, "yyyy-MM-dd'T'HH:mm:ss.SSSXXX")
    case TimestampNTZType => date_format(value, "yyyy-MM-dd'T'HH:mm:ss.SSS")
    case BinaryType => base64(value)
    case _: StructType | _: ArrayType | _: MapType | VariantType => to_json(value)
    case _ => value.cast(StringType)
  }
}
