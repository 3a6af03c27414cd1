package mt.estate

import java.nio.charset.StandardCharsets
import java.nio.file.{FileAlreadyExistsException, Files, StandardCopyOption}
import java.util.concurrent.ConcurrentHashMap

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import io.delta.storage.HadoopFileSystemLogStore
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.Path

import org.apache.spark.sql.types.{DataType, StructType}

/** Delta's commits: authorised by the FileSystem, never half visible, one winner; a changed schema goes to Unity Catalog. */
class EstateLogStore(configuration: Configuration) extends HadoopFileSystemLogStore(configuration) {
  override def write(path: Path, actions: java.util.Iterator[String], overwrite: java.lang.Boolean, hadoop: Configuration): Unit = {
    val files = path.getFileSystem(hadoop).asInstanceOf[GovernedFileSystem]
    val target = files.localOf(path, GovernedPaths.Write)
    val lines = actions.asScala.toVector
    Files.createDirectories(target.getParent)
    val draft = target.resolveSibling(s".${target.getFileName}.${Secrets.random()}.tmp")
    Files.write(draft, lines.mkString("", "\n", "\n").getBytes(StandardCharsets.UTF_8))
    try {
      if (overwrite) Files.move(draft, target, StandardCopyOption.ATOMIC_MOVE)
      else Files.createLink(target, draft)
    } catch {
      case _: FileAlreadyExistsException => throw new FileAlreadyExistsException(path.toString)
    } finally Files.deleteIfExists(draft)
    lines.find(_.startsWith("""{"metaData":""")).foreach(line => ColumnSync.after(files.makeQualified(path), line))
  }

  override def isPartialWriteVisible(path: Path, hadoop: Configuration): java.lang.Boolean = false
}

/** Keeps the columns in Unity Catalog equal to the table's; what could not be sent is sent when the table is next loaded. */
object ColumnSync {
  private val owed = new ConcurrentHashMap[String, StructType]()
  private val log = org.slf4j.LoggerFactory.getLogger("mt.estate.ColumnSync")

  def after(commit: Path, metaData: String): Unit = {
    val table = commit.getParent.getParent
    if (table.toUri.getScheme == "abfss") {
      val caller = Caller.current
      val governed = GovernedPaths.govern(caller, s"abfss://${table.toUri.getAuthority}${table.toUri.getPath}", GovernedPaths.Write)
      // A staged table has no name yet; its registration carries the columns.
      if (governed.securableType == "TABLE" && governed.fullName.nonEmpty) {
        val schema = DataType.fromJson(Json.mapper.readTree(metaData).at("/metaData/schemaString").asText()).asInstanceOf[StructType]
        owed.put(governed.fullName, schema)
        settle(caller, governed.fullName)
      }
    }
  }

  def settle(caller: Caller, fullName: String): Unit = Option(owed.get(fullName)).foreach { schema =>
    try {
      UnityCatalog.patchTable(caller, fullName, Json.obj("columns" -> UnityCatalog.columns(schema)))
      owed.remove(fullName, schema)
    } catch {
      case failure: ApiFailure if failure.missing => owed.remove(fullName, schema) // staged: its registration carries the columns
      case NonFatal(failure) => log.warn("columns of {} are not in Unity Catalog yet: {}", fullName, failure.getMessage)
    }
  }
}
