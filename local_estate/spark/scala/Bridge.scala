package org.apache.spark.sql.estate

import org.apache.spark.sql.catalyst.catalog.CatalogTable
import org.apache.spark.sql.connector.catalog.{Table, V1Table}
import org.apache.spark.sql.errors.QueryCompilationErrors

/** What Spark keeps to its own package. */
object Bridge {
  def v1Table(table: CatalogTable): Table = V1Table(table)

  def wrongNumberOfArguments(function: String, expected: Int, given: Int): Throwable =
    QueryCompilationErrors.wrongNumArgsError(function, Seq(expected), given)
}
