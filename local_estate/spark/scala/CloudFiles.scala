package mt.estate

import java.nio.charset.StandardCharsets
import java.util.Locale

import scala.collection.mutable
import scala.jdk.CollectionConverters._

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileStatus, Path}

import org.apache.spark.sql.{DataFrame, SparkSession}
import org.apache.spark.sql.types._

/** Raised once for new columns; the next start of the stream reads with the schema that has them. */
final class UnknownFieldException(fields: Seq[String], retry: Boolean)
    extends RuntimeException(
      s"[UNKNOWN_FIELD_EXCEPTION.NEW_FIELDS_IN_FILE] Encountered unknown fields during parsing: [${fields.mkString(",")}], which can be fixed by an automatic retry: $retry")

/** Auto Loader: `spark.readStream.format("cloudFiles")` on Spark's own file source. */
object CloudFiles {
  val Formats = Map("csv" -> classOf[CloudFilesCsv], "json" -> classOf[CloudFilesJson])
  val Known = "estate.known"
  val Evolve = "estate.evolve"
  val Rescued = "estate.rescued"
  val Corrupt = "estate.corrupt"
  val Types = "estate.infer"
  val Location = "estate.schemaLocation"
  val Unknown = "estate.unknown"

  private val cloudOptions = Set("format", "schemalocation", "infercolumntypes", "schemahints", "schemaevolutionmode", "maxfilespertrigger", "maxbytespertrigger",
    "includeexistingfiles", "usenotifications", "allowoverwrites", "validateoptions", "partitioncolumns")
  private val passed = Set("header", "sep", "delimiter", "quote", "escape", "encoding", "charset", "nullvalue", "emptyvalue", "dateformat", "timestampformat", "multiline", "comment",
    "ignoreleadingwhitespace", "ignoretrailingwhitespace", "pathglobfilter", "recursivefilelookup", "readercasesensitive", "locale", "linesep", "wholetext")
  private val handled = Set("rescueddatacolumn", "mode", "columnnameofcorruptrecord", "maxfilespertrigger", "maxbytespertrigger")
  private val only = Map("cloudfiles.includeexistingfiles" -> "true", "cloudfiles.usenotifications" -> "false", "cloudfiles.allowoverwrites" -> "false", "cloudfiles.partitioncolumns" -> "",
    "mode" -> "permissive")

  /** `schema`: DDL or JSON of the reader's own schema, or null to infer it and keep it under `cloudFiles.schemaLocation`. */
  def load(session: SparkSession, given: java.util.Map[String, String], schema: String, path: String): DataFrame = {
    val options = given.asScala.map { case (key, value) => key.toLowerCase(Locale.ROOT) -> value }.toMap
    refuseUnknown(given.asScala.keys.toSeq, options)
    val format = options.getOrElse("cloudfiles.format", throw new IllegalArgumentException("Could not find required option: cloudFiles.format.")).toLowerCase(Locale.ROOT)
    val reader = session.readStream.options(shared(options))
    if (format == "text") reader.format("text").load(path)
    else {
      val implementation = Formats.getOrElse(format, throw NotSupported(s"cloudFiles.format $format; use csv, json or text"))
      val own = Option(schema).map(text => if (text.trim.startsWith("{")) DataType.fromJson(text).asInstanceOf[StructType] else StructType.fromDDL(text))
      val mode = options.getOrElse("cloudfiles.schemaevolutionmode", if (own.isEmpty) "addNewColumns" else "none").toLowerCase(Locale.ROOT)
      if (!Set("addnewcolumns", "rescue", "none", "failonnewcolumns")(mode)) throw NotSupported(s"cloudFiles.schemaEvolutionMode $mode")
      if (own.isDefined && mode == "addnewcolumns") throw new IllegalArgumentException("Schema evolution mode addNewColumns is not supported when the schema is specified.")
      val plan = new Plan(session, options, format, path)
      val known = withHints(own.getOrElse(plan.stored()), options.get("cloudfiles.schemahints"))
      val rescued = options.get("rescueddatacolumn").orElse(if (own.isEmpty) Some("_rescued_data") else None).filter(_.nonEmpty)
      val fields = StructType(known.fields.filterNot(field => rescued.contains(field.name)))
      val full = rescued.fold(fields)(name => fields.add(name, StringType))
      reader.format(implementation.getName).schema(full).options(Map(
        Known -> fields.json,
        Evolve -> (mode == "addnewcolumns").toString,
        Unknown -> mode,
        Rescued -> rescued.getOrElse(""),
        Corrupt -> options.getOrElse("columnnameofcorruptrecord", "_corrupt_record"),
        Types -> options.getOrElse("cloudfiles.infercolumntypes", "false"),
        Location -> options.getOrElse("cloudfiles.schemalocation", ""))).load(path)
    }
  }

  private def refuseUnknown(names: Seq[String], options: Map[String, String]): Unit = {
    names.foreach { name =>
      val key = name.toLowerCase(Locale.ROOT)
      val fine = if (key.startsWith("cloudfiles.")) cloudOptions(key.stripPrefix("cloudfiles.")) else passed(key) || handled(key)
      if (!fine) throw NotSupported(s"the option $name of format cloudFiles")
    }
    only.foreach { case (key, value) => options.get(key).filterNot(_.equalsIgnoreCase(value)).foreach(asked => throw NotSupported(s"$key=$asked of format cloudFiles")) }
  }

  private def shared(options: Map[String, String]): Map[String, String] = {
    def trigger(name: String) = options.get(s"cloudfiles.$name").orElse(options.get(name))
    options.filter { case (key, _) => passed(key) } ++
      Map("maxFilesPerTrigger" -> trigger("maxfilespertrigger").getOrElse("1000"), "maxFileAge" -> "36500d") ++ // a late file is still new
      trigger("maxbytespertrigger").map("maxBytesPerTrigger" -> _)
  }

  private def withHints(schema: StructType, hints: Option[String]): StructType = hints.map(StructType.fromDDL).fold(schema) { hinted =>
    val byName = hinted.fields.map(field => field.name.toLowerCase(Locale.ROOT) -> field).toMap
    val replaced = schema.fields.map(field => byName.get(field.name.toLowerCase(Locale.ROOT)).map(hint => field.copy(dataType = hint.dataType)).getOrElse(field))
    val present = schema.fieldNames.map(_.toLowerCase(Locale.ROOT)).toSet
    StructType(replaced ++ hinted.fields.filterNot(field => present(field.name.toLowerCase(Locale.ROOT))))
  }

  /** The stored schema of a stream, inferred from the files that are there when there is none. */
  private final class Plan(session: SparkSession, options: Map[String, String], format: String, path: String) {
    private val hadoop = session.asInstanceOf[org.apache.spark.sql.classic.SparkSession].sessionState.newHadoopConf()

    def stored(): StructType = {
      val location = options.get("cloudfiles.schemalocation").filter(_.nonEmpty)
        .getOrElse(throw new IllegalArgumentException("Schema inference needs the option cloudFiles.schemaLocation; set it, or give a schema."))
      val log = new SchemaLog(location, hadoop)
      log.latest().map(_._2).getOrElse(log.put(0, infer()))
    }

    private def infer(): StructType = {
      val root = new Path(path)
      val files = root.getFileSystem(hadoop)
      val roots = Option(files.globStatus(root)).map(_.toSeq).getOrElse(Nil)
      val found = roots.flatMap(status => below(status)).filter(_.getLen > 0).take(1000)
      if (found.isEmpty) throw new IllegalArgumentException(s"[CF_EMPTY_DIR_FOR_SCHEMA_INFERENCE] Cannot infer schema when the input path $path is empty. Please specify the schema or retry when there are files.")
      val settings = RescuingSettings.inferring(options)
      val reader = Formats(format).getConstructor().newInstance()
      val types = new FieldTypes(options.getOrElse("cloudfiles.infercolumntypes", "false").toBoolean)
      var budget = 64L << 20
      found.takeWhile(_ => budget > 0).foreach { status =>
        budget -= status.getLen
        reader.survey(status.getPath, hadoop, settings, types)
      }
      types.schema
    }

    private def below(status: FileStatus): Seq[FileStatus] = {
      val name = status.getPath.getName
      if (name.startsWith("_") || name.startsWith(".")) Nil
      else if (!status.isDirectory) Seq(status)
      else status.getPath.getFileSystem(hadoop).listStatus(status.getPath).toSeq.sortBy(_.getPath.getName).flatMap(below)
    }
  }
}

/** Versions of a stream's schema, `_schemas/0`, `_schemas/1`, …; the highest counts and none is ever changed. */
final class SchemaLog(location: String, hadoop: Configuration) {
  private val folder = new Path(location, "_schemas")
  private lazy val files = folder.getFileSystem(hadoop)

  def latest(): Option[(Int, StructType)] = {
    val versions = if (files.exists(folder)) files.listStatus(folder).map(_.getPath.getName).filter(_.forall(_.isDigit)).map(_.toInt) else Array.empty[Int]
    versions.maxOption.map { version =>
      val stream = files.open(new Path(folder, version.toString))
      val text = try new String(stream.readAllBytes(), StandardCharsets.UTF_8) finally stream.close()
      version -> DataType.fromJson(text.linesIterator.drop(1).mkString("\n")).asInstanceOf[StructType]
    }
  }

  /** Writes the version unless somebody was faster; returns what then stands there. */
  def put(version: Int, schema: StructType): StructType = {
    val draft = new Path(folder, s".${Secrets.random()}")
    val stream = files.create(draft)
    try stream.write(s"v1\n${schema.json}".getBytes(StandardCharsets.UTF_8)) finally stream.close()
    if (files.rename(draft, new Path(folder, version.toString))) schema
    else {
      files.delete(draft, false)
      latest().get._2
    }
  }

  /** Adds columns that no version has yet. */
  def evolve(fields: Seq[StructField]): Unit = {
    val (version, schema) = latest().getOrElse(-1 -> new StructType())
    val fresh = fields.filterNot(field => schema.fieldNames.contains(field.name))
    if (fresh.nonEmpty) {
      val wanted = StructType(schema.fields ++ fresh)
      if (put(version + 1, wanted) != wanted) evolve(fields)
    }
  }
}

/** Types of columns as samples come in: strings only, or the narrowest of long, double, boolean and string. */
final class FieldTypes(infer: Boolean) {
  private val seen = mutable.LinkedHashMap[String, DataType]()

  def see(name: String, dataType: => DataType): Unit =
    if (!infer) seen.getOrElseUpdate(name, StringType)
    else seen.update(name, seen.get(name).map(FieldTypes.merge(_, dataType)).getOrElse(dataType))

  def schema: StructType = StructType(seen.toSeq.map { case (name, dataType) => StructField(name, FieldTypes.settled(dataType)) })
}

object FieldTypes {
  def ofText(text: String): DataType =
    if (text == null || text.isEmpty) NullType
    else if (text.toLongOption.isDefined) LongType
    else if (text.matches("[-+]?[0-9]*\\.?[0-9]+([eE][-+]?[0-9]+)?")) DoubleType
    else if (text.equalsIgnoreCase("true") || text.equalsIgnoreCase("false")) BooleanType
    else StringType

  def ofNode(node: com.fasterxml.jackson.databind.JsonNode): DataType =
    if (node.isNull) NullType
    else if (node.isBoolean) BooleanType
    else if (node.isIntegralNumber && node.canConvertToLong) LongType
    else if (node.isNumber) DoubleType
    else if (node.isObject) StructType(node.properties().asScala.toSeq.map(entry => StructField(entry.getKey, ofNode(entry.getValue))))
    else if (node.isArray) ArrayType(node.elements().asScala.map(ofNode).foldLeft[DataType](NullType)(merge))
    else StringType

  def merge(left: DataType, right: DataType): DataType = (left, right) match {
    case (same, other) if same == other => same
    case (NullType, other) => other
    case (other, NullType) => other
    case (LongType, DoubleType) | (DoubleType, LongType) => DoubleType
    case (ArrayType(a, _), ArrayType(b, _)) => ArrayType(merge(a, b))
    case (a: StructType, b: StructType) =>
      val shared = a.fields.map(field => b.fields.find(_.name == field.name).map(other => field.copy(dataType = merge(field.dataType, other.dataType))).getOrElse(field))
      StructType(shared ++ b.fields.filterNot(field => a.fieldNames.contains(field.name)))
    case _ => StringType
  }

  /** A column that was always empty is a string. */
  def settled(dataType: DataType): DataType = dataType match {
    case NullType => StringType
    case ArrayType(element, nulls) => ArrayType(settled(element), nulls)
    case struct: StructType => StructType(struct.fields.map(field => field.copy(dataType = settled(field.dataType))))
    case other => other
  }
}
