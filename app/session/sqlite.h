// SQLite with this program's manners: statements are prepared once and kept, errors are thrown, transactions end with their scope.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace attelier::sqlite {

/// A failed call with SQLite's extended result code and the system's error number.
class Failure : public std::runtime_error {
 public:
  Failure(int code, int system_error, const std::string& message) : std::runtime_error(message), code_(code), system_error_(system_error) {}
  bool is_damage() const;  // the file is no database, or a broken one
  bool is_full() const;    // no room: disk, quota or limit of the file's size
  /// The reason in words, with what to do next.
  std::string reason() const;

 private:
  int code_, system_error_;
};

/// One run of a statement. Parameters are bound in order; the statement is free again at the end of this object.
class Query {
 public:
  Query(sqlite3* connection, sqlite3_stmt* statement) : connection_(connection), statement_(statement) {}
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Query& bind(int64_t value);
  Query& bind(double value);
  Query& text(std::string_view value);
  Query& blob(std::string_view value);
  Query& null();
  /// True while there is a row.
  bool step();
  /// For statements without rows: runs it and gives the number of changed rows.
  int64_t run();

  int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }
  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  bool is_blob(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_BLOB; }
  /// Bytes of a text or blob.
  std::string bytes(int column) const;

 private:
  void check(int code);
  sqlite3* connection_;
  sqlite3_stmt* statement_;
  int next_ = 1;
};

class Connection {
 public:
  enum class Open { kReadWrite, kMemory, kFrozen /* read-only, without looking for other writers */ };
  Connection(const std::filesystem::path& file, Open how);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool is_read_only() const { return sqlite3_db_readonly(connection_, "main") == 1; }
  Query query(const std::string& sql);
  /// Several statements without parameters.
  void execute(const std::string& sql);
  int64_t last_id() const { return sqlite3_last_insert_rowid(connection_); }
  /// Replaces the whole content by that of another database.
  void copy_from(Connection& other);

 private:
  [[noreturn]] void fail_now(int code) const;
  sqlite3* connection_ = nullptr;
  std::map<std::string, sqlite3_stmt*> statements_;
};

/// BEGIN IMMEDIATE now, COMMIT by commit(), otherwise ROLLBACK.
class Transaction {
 public:
  explicit Transaction(Connection& connection);
  ~Transaction();
  void commit();

 private:
  Connection& connection_;
  bool open_ = true;
};

}  // namespace attelier::sqlite
