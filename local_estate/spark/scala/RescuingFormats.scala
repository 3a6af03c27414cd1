package mt.estate

import java.io.{BufferedReader, InputStream, InputStreamReader}
import java.nio.charset.Charset

import scala.annotation.tailrec
import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import com.fasterxml.jackson.databind.{DeserializationFeature, JsonNode, ObjectMapper}
import com.fasterxml.jackson.databind.node.ObjectNode
import com.univocity.parsers.csv.CsvParser
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileStatus, Path}
import org.apache.hadoop.io.Text
import org.apache.hadoop.mapreduce.Job
import org.apache.hadoop.util.LineReader

import org.apache.spark.TaskContext
import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.csv.{CSVOptions, UnivocityParser}
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow
import org.apache.spark.sql.catalyst.util.{ArrayBasedMapData, DateTimeUtils, GenericArrayData}
import org.apache.spark.sql.execution.datasources.{CodecStreams, FileFormat, OutputWriterFactory, PartitionedFile}
import org.apache.spark.sql.sources.Filter
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String
import org.apache.spark.util.SerializableConfiguration

/** How one stream reads its files. */
final case class RescuingSettings(known: StructType, evolve: Boolean, unknown: String, rescued: String, corrupt: String, infer: Boolean, location: String, options: Map[String, String], zone: String) {
  private def flag(name: String, default: Boolean) = options.find(_._1.equalsIgnoreCase(name)).map(_._2.toBoolean).getOrElse(default)
  val header: Boolean = flag("header", default = false)
  val multiLine: Boolean = flag("multiLine", default = false)
  val caseSensitive: Boolean = flag("readerCaseSensitive", default = true)
  @transient lazy val charset: Charset = Charset.forName(options.collectFirst { case (key, value) if Set("encoding", "charset")(key.toLowerCase) => value }.getOrElse("UTF-8"))
  @transient lazy val csv: CSVOptions = new CSVOptions(options, false, zone, corrupt)

  /** Position of a column among the known ones, or -1. */
  @transient lazy val position: String => Int = {
    val exact = known.fieldNames.zipWithIndex.toMap
    val folded = known.fieldNames.map(_.toLowerCase(java.util.Locale.ROOT)).zipWithIndex.toMap
    name => exact.getOrElse(name, if (caseSensitive) -1 else folded.getOrElse(name.toLowerCase(java.util.Locale.ROOT), -1))
  }
}

object RescuingSettings {
  def of(options: Map[String, String], zone: String): RescuingSettings = RescuingSettings(
    DataType.fromJson(options(CloudFiles.Known)).asInstanceOf[StructType], options(CloudFiles.Evolve).toBoolean, options(CloudFiles.Unknown), options(CloudFiles.Rescued),
    options(CloudFiles.Corrupt), options(CloudFiles.Types).toBoolean, options(CloudFiles.Location), options.filterNot(_._1.startsWith("estate.")), zone)

  def inferring(options: Map[String, String]): RescuingSettings = RescuingSettings(new StructType(), false, "none", "", "_corrupt_record", true, "", options, "UTC")
}

/** One record: values of the known columns, and what did not fit them. */
final class Rescue(settings: RescuingSettings) {
  val values = new Array[Any](settings.known.length)
  val rest: ObjectNode = Json.mapper.createObjectNode()
  private val corruptAt = settings.known.fieldNames.indexOf(settings.corrupt)

  def corrupted(text: String): Unit =
    if (corruptAt >= 0) values(corruptAt) = UTF8String.fromString(text)
    else rest.put("_corrupt_record", text)
}

/** A file format whose records never get lost: what does not fit goes to the rescued column, new columns stop the stream once. */
abstract class RescuingFormat extends FileFormat with Serializable {
  override def inferSchema(session: SparkSession, options: Map[String, String], files: Seq[FileStatus]): Option[StructType] = None
  override def isSplitable(session: SparkSession, options: Map[String, String], path: Path): Boolean = false
  override def prepareWrite(session: SparkSession, job: Job, options: Map[String, String], schema: StructType): OutputWriterFactory = throw NotSupported("writing cloudFiles")

  protected def records(path: Path, hadoop: Configuration, settings: RescuingSettings): Iterator[Rescue]
  protected def unknownFields(path: Path, hadoop: Configuration, settings: RescuingSettings): Seq[StructField]
  def survey(path: Path, hadoop: Configuration, settings: RescuingSettings, types: FieldTypes): Unit

  override def buildReader(session: SparkSession, data: StructType, partition: StructType, required: StructType, filters: Seq[Filter], options: Map[String, String], hadoop: Configuration): PartitionedFile => Iterator[InternalRow] = {
    val settings = RescuingSettings.of(options, session.conf.get("spark.sql.session.timeZone"))
    val configuration = session.sparkContext.broadcast(new SerializableConfiguration(hadoop))
    (file: PartitionedFile) => {
      val path = file.toPath
      if (settings.evolve || settings.unknown == "failonnewcolumns") stopForNew(path, configuration.value.value, settings)
      // -1: the rescued column. Which columns a query needs does not change what counts as rescued.
      val wanted = required.fieldNames.map(name => settings.known.fieldNames.indexOf(name))
      records(path, configuration.value.value, settings).map { record =>
        val row = new GenericInternalRow(wanted.length)
        wanted.indices.foreach { index => row.update(index, if (wanted(index) >= 0) record.values(wanted(index)) else rescued(record, file)) }
        row
      }
    }
  }

  private def rescued(record: Rescue, file: PartitionedFile): UTF8String =
    if (record.rest.isEmpty) null
    else UTF8String.fromString(record.rest.put("_file_path", file.filePath.toPath.toString).toString)

  private def stopForNew(path: Path, hadoop: Configuration, settings: RescuingSettings): Unit = {
    val fresh = unknownFields(path, hadoop, settings)
    if (fresh.nonEmpty) {
      if (settings.evolve) new SchemaLog(settings.location, hadoop).evolve(fresh)
      throw new UnknownFieldException(fresh.map(_.name), retry = settings.evolve)
    }
  }

  protected def opened(path: Path, hadoop: Configuration): InputStream =
    if (TaskContext.get() != null) CodecStreams.createInputStreamWithCloseResource(hadoop, path) else CodecStreams.createInputStream(hadoop, path)
}

class CloudFilesCsv extends RescuingFormat {
  /** With `multiLine` a record may hold line breaks between quotes, and the file's first line end is that of all. Without, a record is a line. */
  private final class Records(path: Path, hadoop: Configuration, settings: RescuingSettings) extends Iterator[Array[String]] {
    private val parser = new CsvParser(settings.csv.asParserSettings)
    private val stream = opened(path, hadoop)
    if (settings.multiLine) parser.beginParsing(stream, settings.charset)
    private lazy val lines = new LineReader(stream, hadoop, settings.csv.lineSeparatorInRead.orNull)
    private var line = ""
    private var following: Array[String] = _

    /** The record that `next` gave last, as it came. */
    def raw: String = if (settings.multiLine) parser.getContext.currentParsedContent().stripLineEnd else line

    override def hasNext: Boolean = {
      if (following == null) following = if (settings.multiLine) parser.parseNext() else nextLine()
      following != null
    }

    override def next(): Array[String] = {
      if (!hasNext) throw new NoSuchElementException(s"$path has no more records")
      val found = following
      following = null
      found
    }

    /** Spark passes over blank lines and comments, whatever the quotes around them. */
    @tailrec private def nextLine(): Array[String] = {
      val text = new Text()
      if (lines.readLine(text) == 0) null
      else {
        line = new String(text.getBytes, 0, text.getLength, settings.charset).stripPrefix("\uFEFF")
        if (line.isBlank || (settings.csv.isCommentSet && line.startsWith(settings.csv.comment.toString))) nextLine() else parser.parseLine(line)
      }
    }
  }

  /** Column names of a file, and its records. Without a header, columns come in the order of the schema. */
  private def opening(path: Path, hadoop: Configuration, settings: RescuingSettings): (Array[String], Iterator[Array[String]], Records) = {
    val all = new Records(path, hadoop, settings)
    if (settings.header) {
      // A byte order mark is no part of the first name.
      val names = if (all.hasNext) all.next().zipWithIndex.map { case (name, index) => if (name == null) s"_c$index" else name.stripPrefix("\uFEFF") } else Array.empty[String]
      (names, all, all)
    } else if (settings.known.nonEmpty) (settings.known.fieldNames.filterNot(_ == settings.corrupt), all, all)
    else {
      val buffered = all.buffered
      (if (buffered.hasNext) buffered.head.indices.map(index => s"_c$index").toArray else Array.empty[String], buffered, all)
    }
  }

  override protected def records(path: Path, hadoop: Configuration, settings: RescuingSettings): Iterator[Rescue] = {
    val (names, rows, source) = opening(path, hadoop, settings)
    val parser = new UnivocityParser(settings.known, settings.csv)
    val converters = settings.known.fields.map(field => parser.makeConverter(field.name, field.dataType, true))
    val positions = names.map(settings.position)
    val corruptible = settings.known.fieldNames.contains(settings.corrupt)
    rows.map { row =>
      val record = new Rescue(settings)
      row.indices.foreach { index =>
        val position = if (index < positions.length) positions(index) else -1
        val name = if (index < names.length) names(index) else s"_c$index"
        if (position < 0) { if (row(index) != null && settings.rescued.nonEmpty) record.rest.put(name, row(index)) }
        else
          try record.values(position) = converters(position)(row(index))
          catch { case NonFatal(_) => record.rest.put(name, row(index)) }
      }
      if (row.length != names.length && corruptible) record.corrupted(source.raw)
      record
    }
  }

  override protected def unknownFields(path: Path, hadoop: Configuration, settings: RescuingSettings): Seq[StructField] = {
    val (names, rows, _) = opening(path, hadoop, settings)
    val fresh = names.zipWithIndex.filter { case (name, _) => settings.position(name) < 0 }
    if (fresh.isEmpty) Nil
    else {
      val types = new FieldTypes(settings.infer)
      fresh.foreach { case (name, _) => types.see(name, NullType) }
      if (settings.infer) rows.take(1000).foreach(row => fresh.foreach { case (name, index) => if (index < row.length) types.see(name, FieldTypes.ofText(row(index))) })
      types.schema.fields.toSeq
    }
  }

  override def survey(path: Path, hadoop: Configuration, settings: RescuingSettings, types: FieldTypes): Unit = {
    val (names, rows, _) = opening(path, hadoop, settings)
    names.foreach(name => types.see(name, NullType))
    rows.take(1000).foreach(row => names.indices.foreach(index => if (index < row.length) types.see(names(index), FieldTypes.ofText(row(index)))))
  }
}

class CloudFilesJson extends RescuingFormat {
  @transient private lazy val mapper = new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)

  /** Each record as an object, or as the text that is none. */
  private def documents(path: Path, hadoop: Configuration, settings: RescuingSettings): Iterator[Either[String, JsonNode]] = {
    val stream = opened(path, hadoop)
    if (settings.multiLine) {
      val text = new String(stream.readAllBytes(), settings.charset)
      parsed(text) match {
        case Right(node) if node.isArray => node.elements().asScala.map(item => if (item.isObject) Right(item) else Left(item.toString))
        case other => Iterator(other)
      }
    } else {
      val reader = new BufferedReader(new InputStreamReader(stream, settings.charset))
      Iterator.continually(reader.readLine()).takeWhile(_ != null).map(_.stripPrefix("\uFEFF")).filterNot(_.isBlank).map(parsed).map {
        case Right(node) if !node.isObject => Left(node.toString)
        case other => other
      }
    }
  }

  private def parsed(text: String): Either[String, JsonNode] =
    try Right(mapper.readTree(text))
    catch { case NonFatal(_) => Left(text) }

  override protected def records(path: Path, hadoop: Configuration, settings: RescuingSettings): Iterator[Rescue] = {
    val values = new JsonValues(settings)
    documents(path, hadoop, settings).map { document =>
      val record = new Rescue(settings)
      document match {
        case Left(text) => record.corrupted(text)
        case Right(node) =>
          node.properties().asScala.foreach { entry =>
            val position = settings.position(entry.getKey)
            if (position < 0) { if (settings.rescued.nonEmpty && !entry.getValue.isNull) record.rest.set[ObjectNode](entry.getKey, entry.getValue) }
            else
              try record.values(position) = values.of(entry.getValue, settings.known(position).dataType)
              catch { case NonFatal(_) => record.rest.set[ObjectNode](entry.getKey, entry.getValue) }
          }
      }
      record
    }
  }

  override protected def unknownFields(path: Path, hadoop: Configuration, settings: RescuingSettings): Seq[StructField] = {
    val types = new FieldTypes(settings.infer)
    documents(path, hadoop, settings).foreach(_.foreach(_.properties().asScala.foreach { entry =>
      if (settings.position(entry.getKey) < 0) types.see(entry.getKey, FieldTypes.ofNode(entry.getValue))
    }))
    types.schema.fields.toSeq
  }

  override def survey(path: Path, hadoop: Configuration, settings: RescuingSettings, types: FieldTypes): Unit =
    documents(path, hadoop, settings).foreach(_.foreach(_.properties().asScala.foreach(entry => types.see(entry.getKey, FieldTypes.ofNode(entry.getValue)))))
}

/** JSON values as Spark keeps them; a value of another type is a mismatch, never a guess. */
final class JsonValues(settings: RescuingSettings) {
  private val zone = DateTimeUtils.getZoneId(settings.zone)
  private def mismatch(node: JsonNode, dataType: DataType) = throw new IllegalArgumentException(s"${node.getNodeType} is not ${dataType.sql}")

  def of(node: JsonNode, dataType: DataType): Any = if (node == null || node.isNull) null else dataType match {
    case StringType => UTF8String.fromString(if (node.isTextual) node.textValue() else node.toString)
    case BooleanType if node.isBoolean => node.booleanValue()
    case LongType if node.isIntegralNumber && node.canConvertToLong => node.longValue()
    case IntegerType if node.isIntegralNumber && node.canConvertToInt => node.intValue()
    case ShortType if node.isIntegralNumber && node.canConvertToInt && node.intValue().isValidShort => node.shortValue()
    case ByteType if node.isIntegralNumber && node.canConvertToInt && node.intValue().isValidByte => node.intValue().toByte
    case DoubleType if node.isNumber => node.doubleValue()
    case FloatType if node.isNumber => node.floatValue()
    case decimal: DecimalType if node.isNumber =>
      val value = Decimal(node.decimalValue())
      if (!value.changePrecision(decimal.precision, decimal.scale)) mismatch(node, dataType)
      value
    case DateType if node.isTextual => DateTimeUtils.stringToDate(UTF8String.fromString(node.textValue())).getOrElse(mismatch(node, dataType))
    case TimestampType if node.isTextual => DateTimeUtils.stringToTimestamp(UTF8String.fromString(node.textValue()), zone).getOrElse(mismatch(node, dataType))
    case TimestampNTZType if node.isTextual => DateTimeUtils.stringToTimestampWithoutTimeZone(UTF8String.fromString(node.textValue())).getOrElse(mismatch(node, dataType))
    case ArrayType(element, _) if node.isArray => new GenericArrayData(node.elements().asScala.map(of(_, element)).toArray)
    case MapType(StringType, value, _) if node.isObject =>
      val entries = node.properties().asScala.toArray
      ArrayBasedMapData(entries.map(entry => UTF8String.fromString(entry.getKey)).asInstanceOf[Array[Any]], entries.map(entry => of(entry.getValue, value)))
    case struct: StructType if node.isObject =>
      // A nested field that the schema lacks would be lost, so the whole value is rescued instead.
      node.fieldNames().asScala.find(name => !struct.fieldNames.contains(name)).foreach(_ => mismatch(node, dataType))
      new GenericInternalRow(struct.fields.map(field => of(node.get(field.name), field.dataType)))
    case other => mismatch(node, other)
  }
}
