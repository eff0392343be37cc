#include "app/session/sqlite.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace attelier::sqlite {

bool Failure::is_damage() const { return (code_ & 0xff) == SQLITE_CORRUPT || (code_ & 0xff) == SQLITE_NOTADB; }

bool Failure::is_full() const {
  return (code_ & 0xff) == SQLITE_FULL || ((code_ & 0xff) == SQLITE_IOERR && (system_error_ == ENOSPC || system_error_ == EDQUOT || system_error_ == EFBIG));
}

std::string Failure::reason() const {
  if (is_damage()) return "is damaged";
  if (is_full()) return "cannot grow: the disk is full; free some space";
  switch (code_ & 0xff) {
    case SQLITE_READONLY:
    case SQLITE_PERM: return "cannot be written: it is read-only";
    case SQLITE_BUSY: return "is held by another program; try again";
    case SQLITE_CANTOPEN: return fmt::format("cannot be opened{}{}", system_error_ != 0 ? ": " : "", system_error_ != 0 ? std::strerror(system_error_) : "");
    default: return fmt::format("cannot be used: {}{}{}", what(), system_error_ != 0 ? ": " : "", system_error_ != 0 ? std::strerror(system_error_) : "");
  }
}

Query::~Query() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::check(int code) {
  if (code != SQLITE_OK) throw Failure(sqlite3_extended_errcode(connection_), sqlite3_system_errno(connection_), sqlite3_errmsg(connection_));
}

Query& Query::bind(int64_t value) {
  check(sqlite3_bind_int64(statement_, next_++, value));
  return *this;
}
Query& Query::bind(double value) {
  check(sqlite3_bind_double(statement_, next_++, value));
  return *this;
}
Query& Query::text(std::string_view value) {
  check(sqlite3_bind_text64(statement_, next_++, value.data() == nullptr ? "" : value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}
Query& Query::blob(std::string_view value) {
  check(sqlite3_bind_blob64(statement_, next_++, value.data() == nullptr ? "" : value.data(), value.size(), SQLITE_TRANSIENT));
  return *this;
}
Query& Query::null() {
  check(sqlite3_bind_null(statement_, next_++));
  return *this;
}

bool Query::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  throw Failure(sqlite3_extended_errcode(connection_), sqlite3_system_errno(connection_), sqlite3_errmsg(connection_));
}

int64_t Query::run() {
  while (step()) {
  }
  return sqlite3_changes64(connection_);
}

std::string Query::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

namespace {

/// A path as SQLite's URI wants it.
std::string uri_of(const std::filesystem::path& file) {
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(file).string()) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '.' || c == '-' || c == '_';
    uri += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
  return uri;
}

}  // namespace

Connection::Connection(const std::filesystem::path& file, Open how) {
  std::string name = ":memory:";
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
  if (how == Open::kReadWrite) name = uri_of(file);
  if (how == Open::kFrozen) {
    name = uri_of(file) + "?immutable=1";
    flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
  }
  const int code = sqlite3_open_v2(name.c_str(), &connection_, flags, nullptr);
  if (code != SQLITE_OK) {
    const Failure failure(code, connection_ != nullptr ? sqlite3_system_errno(connection_) : 0, sqlite3_errstr(code));
    sqlite3_close_v2(connection_);
    throw failure;
  }
  sqlite3_extended_result_codes(connection_, 1);
  sqlite3_busy_timeout(connection_, 5000);
  // The file may be anybody's: its schema gets no functions, and its cells are checked.
  sqlite3_db_config(connection_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_limit(connection_, SQLITE_LIMIT_LENGTH, 1 << 26);
}

Connection::~Connection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(connection_);
}

void Connection::fail_now(int code) const { throw Failure(sqlite3_extended_errcode(connection_), sqlite3_system_errno(connection_), sqlite3_errstr(code)); }

Query Connection::query(const std::string& sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr) {
    const int code = sqlite3_prepare_v3(connection_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) throw Failure(sqlite3_extended_errcode(connection_), sqlite3_system_errno(connection_), sqlite3_errmsg(connection_));
  }
  return {connection_, statement};
}

void Connection::execute(const std::string& sql) {
  const int code = sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail_now(code);
}

void Connection::copy_from(Connection& other) {
  sqlite3_backup* backup = sqlite3_backup_init(connection_, "main", other.connection_, "main");
  if (backup == nullptr) fail_now(sqlite3_errcode(connection_));
  const int code = sqlite3_backup_step(backup, -1);
  sqlite3_backup_finish(backup);
  if (code != SQLITE_DONE) throw Failure(code, 0, sqlite3_errstr(code));
}

Transaction::Transaction(Connection& connection) : connection_(connection) { connection_.execute("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  if (!open_) return;
  try {
    connection_.execute("ROLLBACK");
  } catch (const Failure&) {
    // Some errors have rolled back already.
  }
}

void Transaction::commit() {
  connection_.execute("COMMIT");
  open_ = false;
}

}  // namespace attelier::sqlite
