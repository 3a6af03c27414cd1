package mt.estate

import java.io.{FileNotFoundException, IOException}
import java.net.URI
import java.nio.file.{FileAlreadyExistsException, Files, LinkOption, Path => LocalPath, Paths => LocalPaths}
import java.util.concurrent.ConcurrentHashMap

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs._
import org.apache.hadoop.fs.permission.FsPermission
import org.apache.hadoop.util.Progressable

import org.apache.spark.sql.AnalysisException

/** Maps governed paths to directories of this machine, after asking Unity Catalog as whoever acts on the thread. */
object GovernedPaths {
  val Read = "READ"
  val Write = "WRITE"

  /** The estate's state: nothing below it is reachable by `file:`. */
  lazy val home: LocalPath = LocalPaths.get(System.getProperty("estate.home")).toRealPath()
  /** This JVM's own temporary files. */
  lazy val scratch: LocalPath = LocalPaths.get(System.getProperty("java.io.tmpdir")).toRealPath()

  private val fresh = java.time.Duration.ofSeconds(5).toNanos
  private final case class Known(at: Long, governed: Governed)
  private val known = new ConcurrentHashMap[(String, String, String), Known]()

  /** Tables that a name-based decision of this session covers: their log may be read by who may only write. */
  private val named = new ConcurrentHashMap[(String, String), Seq[Check]]()

  def admit(caller: Caller, location: String, anyOf: Seq[Check]): Unit = named.put((caller.key, location.stripSuffix("/")), anyOf)

  def forget(caller: Caller): Unit = {
    known.keySet().removeIf(_._1 == caller.key)
    named.keySet().removeIf(_._1 == caller.key)
  }

  /** The governing securable of `path` ("/Volumes/…" or "abfss://…"). Throws PermissionDenied; cached for seconds. */
  def govern(caller: Caller, path: String, operation: String): Governed = {
    val now = System.nanoTime()
    ancestors(path).flatMap(prefix => Option(known.get((caller.key, operation, key(prefix))))).find(now - _.at <= fresh) match {
      case Some(hit) => hit.governed
      case None =>
        val governed = resolve(caller, path, operation)
        // Volumes and tables do not nest. An external location may contain other securables, so its answer stands for this very path.
        val covered = if (governed.securableType == "EXTERNAL_LOCATION") path else governed.prefix
        known.put((caller.key, operation, key(covered)), Known(now, governed))
        governed
    }
  }

  private def resolve(caller: Caller, path: String, operation: String): Governed =
    try UnityCatalog.resolve(caller, path, operation)
    catch {
      case denied: PermissionDenied if operation == Read =>
        val (location, checks) = ancestors(path).flatMap(prefix => Option(named.get((caller.key, prefix))).map(prefix -> _)).nextOption()
          .getOrElse(throw denied)
        UnityCatalog.requireAny(caller, checks: _*)
        Governed(location, storage(URI.create(location)).toString, "TABLE", checks.head.fullName)
    }

  /** Names in Unity Catalog ignore case; storage paths do not. */
  private def key(path: String): String =
    if (path.startsWith("/Volumes/")) {
      val parts = path.split("/", 6)
      (parts.take(5).map(_.toLowerCase(java.util.Locale.ROOT)) ++ parts.drop(5)).mkString("/")
    } else path

  private def ancestors(path: String): Iterator[String] = {
    val start = if (path.startsWith("abfss://")) path.indexOf('/', "abfss://".length) else 0
    Iterator.iterate(path)(whole => whole.substring(0, math.max(whole.lastIndexOf('/'), 0)))
      .takeWhile(prefix => prefix.length >= start && prefix.nonEmpty)
  }

  /** The directory of `abfss://container@account.dfs…/path` in the estate. */
  private def storage(location: URI): LocalPath =
    home.resolve("adls").resolve(location.getHost.takeWhile(_ != '.')).resolve(location.getUserInfo).resolve(location.getPath.stripPrefix("/"))

  def local(caller: Caller, path: String, operation: String): LocalPath = {
    val governed = govern(caller, path, operation)
    val rest = path.substring(math.min(governed.prefix.length, path.length)).stripPrefix("/")
    val base = LocalPaths.get(governed.localPrefix)
    val found = if (rest.isEmpty) base else base.resolve(rest).normalize()
    if (!found.startsWith(base) || outside(found, base)) throw PermissionDenied(s"$path leaves ${governed.prefix}")
    found
  }

  /** A link inside a governed directory must not lead out of it. */
  private def outside(found: LocalPath, base: LocalPath): Boolean =
    Files.exists(found) && Files.exists(base) && !found.toRealPath().startsWith(base.toRealPath())

  /** Refuses `file:` inside the estate's state, however it is spelt. */
  def guardLocal(path: LocalPath): Unit = {
    val existing = Iterator.iterate(path.toAbsolutePath.normalize())(_.getParent).takeWhile(_ != null).find(candidate => Files.exists(candidate, LinkOption.NOFOLLOW_LINKS))
    val real = existing.map(candidate => try candidate.toRealPath() catch { case _: IOException => candidate }).getOrElse(path)
    if (real.startsWith(home) && !real.startsWith(scratch))
      throw PermissionDenied(s"file:$path belongs to the local estate; name the table, volume or external location instead")
  }
}

abstract class GovernedFileSystem extends FileSystem {
  private var uri: URI = _
  private var working: Path = _
  private val raw = new RawLocalFileSystem()

  override def initialize(name: URI, configuration: Configuration): Unit = {
    super.initialize(name, configuration)
    setConf(configuration)
    uri = URI.create(if (name.getAuthority == null) s"${name.getScheme}:///" else s"${name.getScheme}://${name.getAuthority}")
    working = new Path(if (name.getAuthority == null) s"${name.getScheme}:/" else s"$uri/")
    raw.initialize(URI.create("file:///"), configuration)
  }

  override def getUri: URI = uri
  override def getWorkingDirectory: Path = working
  override def setWorkingDirectory(directory: Path): Unit = working = makeQualified(directory)

  /** The path as Unity Catalog knows it. */
  protected def governedName(path: Path): String

  def localOf(path: Path, operation: String): LocalPath = {
    val qualified = makeQualified(path)
    val name = governedName(qualified)
    if (name.split('/').contains("..")) throw PermissionDenied(s"$name must not contain '..'")
    val plain = LocalPaths.get(qualified.toUri.getPath)
    if (getScheme == "dbfs" && plain.startsWith(GovernedPaths.scratch)) plain
    else GovernedPaths.local(Caller.current, name, operation)
  }

  private def rawPath(local: LocalPath): Path = new Path("file", null, local.toString)

  override def open(path: Path, bufferSize: Int): FSDataInputStream = {
    val local = localOf(path, GovernedPaths.Read)
    if (!Files.exists(local)) throw new FileNotFoundException(s"No such file or directory: $path")
    raw.open(rawPath(local), bufferSize)
  }

  override def create(path: Path, permission: FsPermission, overwrite: Boolean, bufferSize: Int, replication: Short, blockSize: Long, progress: Progressable): FSDataOutputStream =
    raw.create(rawPath(localOf(path, GovernedPaths.Write)), overwrite, bufferSize, replication, blockSize, progress)

  override def createNonRecursive(path: Path, permission: FsPermission, flags: java.util.EnumSet[CreateFlag], bufferSize: Int, replication: Short, blockSize: Long, progress: Progressable): FSDataOutputStream =
    create(path, permission, flags.contains(CreateFlag.OVERWRITE), bufferSize, replication, blockSize, progress)

  override def append(path: Path, bufferSize: Int, progress: Progressable): FSDataOutputStream =
    raw.append(rawPath(localOf(path, GovernedPaths.Write)), bufferSize, progress)

  /** As in ADLS, an existing file is not replaced; a hard link decides between two at once. */
  override def rename(from: Path, to: Path): Boolean = {
    val (source, target) = (localOf(from, GovernedPaths.Write), localOf(to, GovernedPaths.Write))
    if (!Files.exists(source)) throw new FileNotFoundException(s"No such file or directory: $from")
    if (Files.isDirectory(source) || Files.isDirectory(target)) raw.rename(rawPath(source), rawPath(target))
    else
      try {
        Files.createLink(target, source)
        Files.delete(source)
        true
      } catch { case _: FileAlreadyExistsException => false }
  }

  override def delete(path: Path, recursive: Boolean): Boolean = {
    val local = localOf(path, GovernedPaths.Write)
    Files.exists(local) && raw.delete(rawPath(local), recursive)
  }

  override def mkdirs(path: Path, permission: FsPermission): Boolean = {
    Files.createDirectories(localOf(path, GovernedPaths.Write))
    true
  }

  override def listStatus(path: Path): Array[FileStatus] = {
    val local = localOf(path, GovernedPaths.Read)
    if (!Files.exists(local)) throw new FileNotFoundException(s"No such file or directory: $path")
    if (!Files.isDirectory(local)) Array(status(local, makeQualified(path)))
    else {
      val names = local.toFile.list()
      if (names == null) throw new IOException(s"cannot list $path")
      // A file may vanish between the listing and the look at it.
      names.flatMap(name => try Some(status(local.resolve(name), makeQualified(new Path(path, new Path(null, null, name))))) catch { case _: IOException => None })
    }
  }

  override def getFileStatus(path: Path): FileStatus = {
    val local = localOf(path, GovernedPaths.Read)
    if (!Files.exists(local)) throw new FileNotFoundException(s"No such file or directory: $path")
    status(local, makeQualified(path))
  }

  private def status(local: LocalPath, path: Path): FileStatus = {
    val attributes = Files.readAttributes(local, classOf[java.nio.file.attribute.BasicFileAttributes])
    new FileStatus(if (attributes.isDirectory) 0 else attributes.size(), attributes.isDirectory, 1, 32L << 20, attributes.lastModifiedTime().toMillis, path)
  }

  override def setPermission(path: Path, permission: FsPermission): Unit = ()
  override def setOwner(path: Path, user: String, group: String): Unit = ()
  override def setTimes(path: Path, modified: Long, accessed: Long): Unit = ()
}

/** `dbfs:/Volumes/…`, and the default file system, so that `/Volumes/…` needs no scheme. */
class DbfsFileSystem extends GovernedFileSystem {
  override def getScheme: String = "dbfs"
  override protected def governedName(path: Path): String = path.toUri.getPath
}

/** `abfss://container@account.dfs.core.windows.net/…`. */
class AbfssFileSystem extends GovernedFileSystem {
  override def getScheme: String = "abfss"
  override protected def governedName(path: Path): String = s"abfss://${path.toUri.getAuthority}${path.toUri.getPath}"
}

/** For Spark's checkpoint files, which want a FileContext to rename with overwrite. */
class DbfsContext(uri: URI, configuration: Configuration) extends DelegateToFileSystem(uri, new DbfsFileSystem, configuration, "dbfs", false)
class AbfssContext(uri: URI, configuration: Configuration) extends DelegateToFileSystem(uri, new AbfssFileSystem, configuration, "abfss", true)

/** `file:` as ever, but for the directories of the estate. */
class GuardedLocalFileSystem extends LocalFileSystem(new GuardedRawFileSystem) {
  override def pathToFile(path: Path): java.io.File = {
    val file = super.pathToFile(path)
    GovernedPaths.guardLocal(file.toPath)
    file
  }
}

class GuardedRawFileSystem extends RawLocalFileSystem {
  override def pathToFile(path: Path): java.io.File = {
    val file = super.pathToFile(path)
    GovernedPaths.guardLocal(file.toPath)
    file
  }
}
