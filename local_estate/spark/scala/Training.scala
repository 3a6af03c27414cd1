package mt.estate

import java.io.{BufferedReader, InputStreamReader}
import java.nio.charset.StandardCharsets

import scala.jdk.CollectionConverters._

import org.apache.spark.sql.classic.SparkSession

/** What the ahead-of-time cache is made from: a governed start as the control server makes it, then a small day of Delta in an ordinary session.
  *
  * It reads the control server's configuration, works in the folder named, and ends by exit: a JVM that is halted writes no cache.
  */
object Training {
  def main(arguments: Array[String]): Unit = {
    val configuration = Json.mapper.readTree(new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)).readLine()).get("conf").properties().asScala.toSeq
    governedStart(configuration.map(entry => entry.getKey -> entry.getValue.asText()))
    // What was opened under governance must not serve a session that has none.
    org.apache.hadoop.fs.FileSystem.closeAll()
    val governance = Set("spark.sql.extensions", "spark.hadoop.", "spark.sql.catalog.spark_catalog", "spark.delta.logStore", "spark.sql.warehouse.dir")
    val ordinary = configuration.collect { case entry if !governance.exists(entry.getKey.startsWith) => entry.getKey -> entry.getValue.asText() }
    smallDay(ordinary, arguments(0))
    System.exit(0)
  }

  private def governedStart(configuration: Seq[(String, String)]): Unit = {
    val session = started(configuration)
    SelfTest.run(session)
    Caller.attach(session.sparkContext)
    new ControlServer(session, Secrets.random()).start()
    val gateway = Gateway.start(session.sparkContext.getConf)
    gateway.shutdown()
    session.stop()
    org.apache.spark.sql.SparkSession.clearActiveSession()
    org.apache.spark.sql.SparkSession.clearDefaultSession()
  }

  private def smallDay(configuration: Seq[(String, String)], folder: String): Unit = {
    val spark = started(configuration ++ Seq(
      "spark.sql.warehouse.dir" -> s"file:$folder/warehouse",
      "spark.sql.extensions" -> "io.delta.sql.DeltaSparkSessionExtension",
      "spark.sql.catalog.spark_catalog" -> "org.apache.spark.sql.delta.catalog.DeltaCatalog"))
    (1 to 2).foreach { day =>
      spark.range(500).selectExpr("cast(id AS string) AS id", s"concat('person ', id, ' ', $day) AS name", s"'2026-01-0$day 10:00:00' AS changed", "'{\"a\": 1, \"b\": [\"x\"]}' AS more")
        .write.mode("append").option("header", true).csv(s"$folder/landing")
      if (day == 1) statements(Tables)
      spark.readStream.schema("id STRING, name STRING, changed STRING, more STRING, _corrupt_record STRING").option("header", true).csv(s"$folder/landing")
        .selectExpr("*", "_metadata.file_path AS source_file", "current_timestamp() AS landed")
        .writeStream.option("checkpointLocation", s"$folder/checkpoint").trigger(org.apache.spark.sql.streaming.Trigger.AvailableNow()).toTable("training.bronze").awaitTermination()
      statements(Day)
    }
    spark.stop()

    def statements(texts: Seq[String]): Unit = texts.foreach(spark.sql(_).collect())
  }

  private def started(configuration: Seq[(String, String)]): SparkSession = {
    val builder = org.apache.spark.sql.SparkSession.builder().appName("local-estate")
    configuration.foreach { case (name, value) => builder.config(name, value) }
    builder.getOrCreate().asInstanceOf[SparkSession]
  }

  private val Tables = Seq(
    "CREATE SCHEMA training",
    "CREATE TABLE training.bronze (id STRING, name STRING, changed STRING, more STRING, _corrupt_record STRING, source_file STRING, landed TIMESTAMP) USING DELTA",
    """CREATE TABLE training.silver (id BIGINT NOT NULL, name STRING COMMENT 'a name', changed TIMESTAMP, hash STRING, a INT, day DATE) USING DELTA
      |PARTITIONED BY (day) TBLPROPERTIES (delta.enableChangeDataFeed = true)""".stripMargin,
    "ALTER TABLE training.silver ADD CONSTRAINT positive CHECK (id >= 0)",
    "CREATE TABLE training.history (id BIGINT, name STRING, valid_from TIMESTAMP, valid_to TIMESTAMP, current BOOLEAN) USING DELTA")

  private val Day = Seq(
    """CREATE OR REPLACE TEMP VIEW typed AS
      |SELECT try_cast(id AS BIGINT) AS id, upper(trim(regexp_replace(name, '[^a-z0-9 ]', ''))) AS name, try_to_timestamp(changed) AS changed,
      |  sha2(concat_ws('|', id, name), 256) AS hash, from_json(more, 'a INT, b ARRAY<STRING>').a AS a, to_date(changed) AS day
      |FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY changed DESC, source_file) AS nth FROM training.bronze) WHERE nth = 1""".stripMargin,
    """MERGE INTO training.silver AS target USING typed AS source ON target.id = source.id
      |WHEN MATCHED AND target.hash <> source.hash THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *""".stripMargin,
    """INSERT INTO training.history
      |SELECT id, name, changed, lead(changed, 1, TIMESTAMP '9999-12-31') OVER (PARTITION BY id ORDER BY changed), lead(id) OVER (PARTITION BY id ORDER BY changed) IS NULL
      |FROM training.silver LEFT ANTI JOIN training.history USING (id, name)""".stripMargin,
    "UPDATE training.history SET current = false WHERE valid_to < TIMESTAMP '9999-12-31'",
    "DELETE FROM training.history WHERE id % 7 = 3",
    """SELECT s.day, count(*), count(DISTINCT s.id), max(h.valid_from), collect_list(struct(s.id, s.name)), sum(CASE WHEN h.current THEN 1 ELSE 0 END)
      |FROM training.silver s LEFT JOIN training.history h ON s.id = h.id LEFT JOIN (SELECT explode(array(1, 2, 3)) AS id) few ON few.id = s.id
      |GROUP BY s.day HAVING count(*) > 0 ORDER BY 1 LIMIT 10""".stripMargin,
    "SELECT * FROM table_changes('training.silver', 0) ORDER BY id LIMIT 5",
    "DESCRIBE HISTORY training.silver",
    "DESCRIBE DETAIL training.silver",
    "SHOW TABLES IN training",
    "OPTIMIZE training.bronze",
    "SELECT count(*) FROM training.bronze VERSION AS OF 0")
}
