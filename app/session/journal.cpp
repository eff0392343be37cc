#include "app/session/journal.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <map>
#include <mutex>
#include <sstream>

#include "app/session/sqlite.h"
#include "core/base/error.h"
#include "core/base/file_lock.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/text/byte_pairs.h"

namespace attelier {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kApplication = 0x41747431;  // "Att1", which tells our files from other programs'
constexpr size_t kLongestTitle = 500, kLongestError = 1 << 16, kLargestRecord = 1 << 20, kLargestThumbnail = 1 << 20, kMostFiles = 10000, kMostWords = 16;

/// Migration i makes version i + 1 of version i. What lists show lies apart from the large texts, so that they read few pages.
const std::vector<std::string> kMigrations = {
    R"(CREATE TABLE jobs (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         state INTEGER NOT NULL, position REAL NOT NULL,
         created INTEGER NOT NULL, started INTEGER NOT NULL DEFAULT 0, finished INTEGER NOT NULL DEFAULT 0,
         rating INTEGER NOT NULL DEFAULT 0, error_code INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '',
         method TEXT NOT NULL, model TEXT NOT NULL, title TEXT NOT NULL,
         files BLOB NOT NULL DEFAULT x'',
         words TEXT NOT NULL);
       CREATE INDEX waiting ON jobs (position, id) WHERE state IN (0, 1, 5);
       CREATE INDEX ended ON jobs (finished, id) WHERE state IN (2, 3, 4);
       CREATE TABLE documents (job_id INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE, job NOT NULL, record);
       CREATE TABLE thumbnails (job_id INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE, png BLOB NOT NULL);)",
};

const std::string kColumns =
    "jobs.id, state, position, created, started, finished, rating, error_code, error, method, model, title, files";
const std::string kWaiting = "state IN (0, 1, 5)", kEnded = "state IN (2, 3, 4)", kQueueOrder = " ORDER BY state = 1 DESC, position, jobs.id";

int64_t now() { return static_cast<int64_t>(std::time(nullptr)); }

/// At most `size` bytes, cut between characters.
std::string cut(const std::string& text, size_t size) {
  std::string valid = text::valid_utf8(std::string_view(text).substr(0, size + 4));
  if (valid.size() <= size) return valid;
  while (size > 0 && (static_cast<unsigned char>(valid[size]) & 0xc0) == 0x80) --size;
  return valid.substr(0, size) + "…";
}

/// Text where it is UTF-8, CBOR where a path of other bytes stands in it.
void bind_json(sqlite::Query& query, const Json& json) {
  try {
    query.text(json.dump());
  } catch (const Json::type_error&) {
    const std::vector<uint8_t> bytes = Json::to_cbor(json);
    query.blob({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
}

Json read_json(const sqlite::Query& query, int column) {
  if (query.is_null(column)) return {};
  const std::string bytes = query.bytes(column);
  Json json = query.is_blob(column) ? Json::from_cbor(bytes, true, false) : Json::parse(bytes, nullptr, false);
  return json.is_discarded() ? Json() : json;
}

/// Paths are bytes that cannot hold a zero, which therefore stands between them.
std::string join_paths(const std::vector<fs::path>& paths) {
  std::string bytes;
  for (size_t i = 0; i < std::min(paths.size(), kMostFiles); ++i) bytes += paths[i].string() + '\0';
  return bytes;
}

std::vector<fs::path> split_paths(const std::string& bytes) {
  std::vector<fs::path> paths;
  for (size_t start = 0; start < bytes.size();) {
    const size_t end = std::min(bytes.find('\0', start), bytes.size());
    paths.emplace_back(bytes.substr(start, end - start));
    start = end + 1;
  }
  return paths;
}

/// What a search looks in.
std::string search_text(const std::string& title, const std::string& method, const std::string& model, const std::vector<fs::path>& files) {
  std::string text = title + "\n" + method + "\n" + model;
  for (const fs::path& file : files) {
    if (text.size() > kLongestError) break;
    text += "\n" + file.filename().string();
  }
  return text::normalised(text);
}

std::vector<std::string> search_words(const std::string& text) {
  std::istringstream stream(text::normalised(std::string_view(text).substr(0, kLongestTitle)));
  std::vector<std::string> words;
  for (std::string word; words.size() < kMostWords && stream >> word;) words.push_back(word);
  return words;
}

std::string text_of(const Json& job, const char* key) {
  const auto found = job.find(key);
  if (found == job.end()) return {};
  if (found->is_object()) return text_of(*found, "unet");
  return found->is_string() ? found->get<std::string>() : "";
}

JournalEntry read_entry(const sqlite::Query& row, bool brief) {
  JournalEntry entry;
  entry.id = row.integer(0);
  entry.state = static_cast<JobState>(std::clamp<int64_t>(row.integer(1), 0, 5));
  entry.position = row.real(2);
  entry.created = row.integer(3);
  entry.started = row.integer(4);
  entry.finished = row.integer(5);
  entry.rating = row.integer(6);
  entry.error_code = static_cast<int>(row.integer(7));
  entry.error = row.bytes(8);
  entry.method = row.bytes(9);
  entry.model = row.bytes(10);
  entry.title = row.bytes(11);
  entry.files = split_paths(row.bytes(12));
  if (brief) return entry;
  entry.job = read_json(row, 13);
  entry.record = read_json(row, 14);
  return entry;
}

/// journal.sqlite -> journal.damaged-20260102-030405.sqlite
fs::path aside_name(const fs::path& file) {
  const std::time_t time = std::time(nullptr);
  std::tm local{};
  localtime_r(&time, &local);
  char stamp[32];
  std::strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &local);
  fs::path path;
  std::error_code error;
  for (int i = 0; i == 0 || fs::exists(path, error); ++i)
    path = file.parent_path() / fmt::format("{}.damaged-{}{}{}", file.stem().string(), stamp, i == 0 ? "" : fmt::format("-{}", i), file.extension().string());
  return path;
}

fs::path beside(const fs::path& file, const char* ending) { return file.string() + ending; }

}  // namespace

std::string_view name(JobState state) {
  constexpr std::string_view names[] = {"queued", "running", "done", "failed", "cancelled", "interrupted"};
  return names[static_cast<size_t>(state)];
}

struct Journal::Database {
  fs::path file;
  std::string warning;
  bool kept = true;
  std::optional<FileLock> lock;
  std::unique_ptr<sqlite::Connection> connection;
  std::mutex mutex;  // of everything above
  std::atomic<bool> owner = false;
  std::atomic<int64_t> version = 1;
  int64_t data_version = 0;
  std::mutex listener_mutex;
  std::function<void()> listener;

  explicit Database(fs::path path) : file(std::move(path)) {
    std::string reason;
    try {
      open_file();
      return;
    } catch (const sqlite::Failure& failure) {
      reason = failure.reason();
    } catch (const fs::filesystem_error& error) {
      reason = fmt::format("cannot be written: {}", error.code().message());
    } catch (const Error& error) {
      reason = fmt::format("cannot be used: {}", error.what());
    }
    open_memory(reason);
  }

  void open_file() {
    if (file.has_parent_path()) fs::create_directories(file.parent_path());
    lock = FileLock::take(beside(file, ".lock"));
    try {
      connect();
    } catch (const sqlite::Failure& failure) {
      if (!failure.is_damage() || !lock) throw;
      move_aside();
      connect();
    }
    owner = lock.has_value();
  }

  void connect() {
    connection = std::make_unique<sqlite::Connection>(file, sqlite::Connection::Open::kReadWrite);
    if (connection->is_read_only()) fail(ExitCode::kBadInput, "it is read-only");
    const int64_t application = pragma("application_id"), schema = pragma("user_version"), tables = one("SELECT count(*) FROM sqlite_schema");
    if (application != kApplication && tables > 0) fail(ExitCode::kBadInput, "it is another program's database");
    if (schema > static_cast<int64_t>(kMigrations.size()))
      fail(ExitCode::kBadInput, "it was written by a newer version of Attelier (schema {}, this one knows {})", schema, kMigrations.size());
    connection->execute("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 16777216");
    synchronise(true);
    if (schema < static_cast<int64_t>(kMigrations.size())) migrate();
    std::error_code error;
    if (fs::exists(beside(file, ".damaged"), error)) {
      sqlite::Query check = connection->query("PRAGMA quick_check(1)");
      if (check.step() && check.bytes(0) != "ok") throw sqlite::Failure(SQLITE_CORRUPT, 0, "damaged");
      fs::remove(beside(file, ".damaged"), error);
    }
    one("SELECT total(length(words) + length(files) + position) FROM jobs NOT INDEXED");  // touches every page that lists read
    if (lock) interrupt_running();
  }

  void migrate() {
    sqlite::Transaction transaction(*connection);
    for (auto version = static_cast<size_t>(pragma("user_version")); version < kMigrations.size(); ++version) connection->execute(kMigrations[version]);
    connection->execute(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplication, kMigrations.size()));
    transaction.commit();
  }

  void interrupt_running() { connection->query("UPDATE jobs SET state = 5 WHERE state = 1").run(); }

  void move_aside() {
    connection.reset();
    const fs::path aside = aside_name(file);
    fs::rename(file, aside);
    std::error_code error;
    if (fs::exists(beside(file, "-wal"), error)) fs::rename(beside(file, "-wal"), beside(aside, "-wal"), error);
    fs::remove(beside(file, "-shm"), error);
    fs::remove(beside(file, ".damaged"), error);
    warning = fmt::format("{}: was damaged; it is kept as {}, and a new journal has begun", file.string(), aside.filename().string());
  }

  void open_memory(const std::string& reason) {
    warning = fmt::format("{}: {}; queue and history of this session are not kept", file.string(), reason);
    kept = false;
    lock.reset();
    connection = std::make_unique<sqlite::Connection>(file, sqlite::Connection::Open::kMemory);
    try {
      sqlite::Connection old(file, sqlite::Connection::Open::kFrozen);
      connection->copy_from(old);
      if (pragma("application_id") != kApplication || pragma("user_version") != static_cast<int64_t>(kMigrations.size()))
        throw sqlite::Failure(SQLITE_NOTADB, 0, "other contents");
    } catch (const sqlite::Failure&) {
      connection = std::make_unique<sqlite::Connection>(file, sqlite::Connection::Open::kMemory);
      migrate();
    }
    connection->execute("PRAGMA foreign_keys = ON");
    interrupt_running();
    owner = true;
  }

  int64_t one(const std::string& sql) {
    sqlite::Query query = connection->query(sql);
    return query.step() ? query.integer(0) : 0;
  }
  int64_t pragma(const std::string& name) { return one("PRAGMA " + name); }
  /// Durable transactions outlive a power failure; the others the death of the program alone.
  void synchronise(bool durable) { connection->execute(durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"); }

  /// Runs `work` alone, with the file's errors in this class's words.
  template <typename Work>
  auto guarded(const Work& work) {
    const std::lock_guard guard(mutex);
    try {
      return work();
    } catch (const sqlite::Failure& failure) {
      if (failure.is_damage() && kept) {
        if (FILE* marker = std::fopen(beside(file, ".damaged").c_str(), "w"); marker != nullptr) std::fclose(marker);
        fail(ExitCode::kBadInput, "{}: is damaged; it is checked, and moved aside if need be, at the next start", file.string());
      }
      fail(ExitCode::kBadInput, "{}: {}", file.string(), failure.reason());
    }
  }

  template <typename Work>
  auto change(const Work& work, bool durable = true) {
    const auto all = [&] {
      if (!durable) synchronise(false);
      struct Restore {
        Database* database;
        ~Restore() {
          if (database == nullptr) return;
          try {
            database->synchronise(true);
          } catch (const sqlite::Failure&) {
          }
        }
      } restore{durable ? nullptr : this};
      sqlite::Transaction transaction(*connection);
      if constexpr (std::is_void_v<decltype(work())>) {
        work();
        transaction.commit();
        ++version;
      } else {
        auto result = work();
        transaction.commit();
        ++version;
        return result;
      }
    };
    if constexpr (std::is_void_v<decltype(work())>) {
      guarded(all);
      tell();
    } else {
      auto result = guarded(all);
      tell();
      return result;
    }
  }

  void tell() {
    const std::lock_guard guard(listener_mutex);
    if (listener) listener();
  }

  JobState state_of(int64_t id) {
    sqlite::Query query = connection->query("SELECT state FROM jobs WHERE id = ?");
    query.bind(id);
    if (!query.step()) fail(ExitCode::kUsage, "there is no job {} in the journal", id);
    return static_cast<JobState>(std::clamp<int64_t>(query.integer(0), 0, 5));
  }

  void require(int64_t id, std::initializer_list<JobState> allowed, const char* deed) {
    const JobState state = state_of(id);
    if (std::find(allowed.begin(), allowed.end(), state) == allowed.end()) fail(ExitCode::kUsage, "job {} is {}; it cannot be {}", id, name(state), deed);
  }

  double last_position() {
    sqlite::Query query = connection->query("SELECT max(position) FROM jobs WHERE " + kWaiting);
    query.step();
    return query.real(0);
  }

  void set_files(int64_t id, const std::vector<fs::path>& files) {
    std::string words;
    {
      sqlite::Query row = connection->query("SELECT title, method, model FROM jobs WHERE id = ?");
      row.bind(id);
      row.step();
      words = search_text(row.bytes(0), row.bytes(1), row.bytes(2), files);
    }
    connection->query("UPDATE jobs SET files = ?, words = ? WHERE id = ?").blob(join_paths(files)).text(words).bind(id).run();
  }

  void end(int64_t id, JobState state, int code, const std::string& error, const std::vector<fs::path>& files) {
    state_of(id);
    connection->query("UPDATE jobs SET state = ?, finished = ?, error_code = ?, error = ? WHERE id = ?")
        .bind(static_cast<int64_t>(state))
        .bind(state == JobState::kInterrupted ? 0 : now())
        .bind(static_cast<int64_t>(code))
        .text(cut(error, kLongestError))
        .bind(id)
        .run();
    set_files(id, files.empty() ? files_of(id) : files);
  }

  std::vector<fs::path> files_of(int64_t id) {
    sqlite::Query row = connection->query("SELECT files FROM jobs WHERE id = ?");
    row.bind(id);
    return row.step() ? split_paths(row.bytes(0)) : std::vector<fs::path>();
  }

  JournalEntry entry(int64_t id) {
    sqlite::Query row = connection->query("SELECT " + kColumns + ", job, record FROM jobs LEFT JOIN documents ON job_id = jobs.id WHERE jobs.id = ?");
    row.bind(id);
    if (!row.step()) fail(ExitCode::kUsage, "there is no job {} in the journal", id);
    return read_entry(row, false);
  }

  /// Calls `row` with `columns` of every finished entry that `search` finds.
  void search(const std::string& columns, const JournalSearch& search, const std::function<void(const sqlite::Query&)>& row) {
    const std::vector<std::string> words = search_words(search.words);
    std::string sql = "SELECT " + columns + " WHERE " + kEnded;
    for (size_t i = 0; i < words.size(); ++i) sql += " AND instr(words, ?) > 0";
    if (!search.method.empty()) sql += " AND method = ?";
    if (search.minimum_rating > 0) sql += " AND rating >= ?";  // without it the index alone answers for the ids
    sql += " ORDER BY finished DESC, jobs.id DESC LIMIT ? OFFSET ?";
    guarded([&] {
      sqlite::Query query = connection->query(sql);
      for (const std::string& word : words) query.text(word);
      if (!search.method.empty()) query.text(search.method);
      if (search.minimum_rating > 0) query.bind(search.minimum_rating);
      query.bind(std::max<int64_t>(search.limit, 0)).bind(std::max<int64_t>(search.offset, 0));
      while (query.step()) row(query);
    });
  }

  /// Whole numbers again, where halving has used up the digits between two positions.
  void renumber() {
    connection->execute(
        "UPDATE jobs SET position = numbered.number FROM "
        "(SELECT id, row_number() OVER (ORDER BY position, id) AS number FROM jobs WHERE state IN (0, 1, 5)) AS numbered WHERE jobs.id = numbered.id");
  }
};

Journal::Journal(const fs::path& file) : database_(std::make_unique<Database>(file)) {}
Journal::~Journal() = default;

fs::path Journal::default_file() { return state_folder() / "journal.sqlite"; }
const fs::path& Journal::file() const { return database_->file; }
bool Journal::is_kept() const { return database_->kept; }
bool Journal::owns_queue() const { return database_->owner; }
const std::string& Journal::warning() const { return database_->warning; }

bool Journal::take_queue() {
  Database& d = *database_;
  if (d.owner) return true;
  std::optional<FileLock> lock = FileLock::take(beside(d.file, ".lock"));
  if (!lock) return false;
  d.change([&] { d.interrupt_running(); });
  const std::lock_guard guard(d.mutex);
  d.lock = std::move(lock);
  d.owner = true;
  return true;
}

std::string Journal::owner() const { return database_->owner ? "" : FileLock::holder(beside(database_->file, ".lock")); }

int64_t Journal::add(const Json& job, const std::string& title) {
  Database& d = *database_;
  if (const size_t size = dump(job).size(); size > kLargestJson) fail(ExitCode::kBadInput, "the job has {} bytes; at most {} are kept", size, kLargestJson);
  const std::string method = text::valid_utf8(text_of(job, "method")), model = text::valid_utf8(text_of(job, "model")), shown = cut(title, kLongestTitle);
  return d.change([&] {
    d.connection->query("INSERT INTO jobs (state, position, created, method, model, title, words) VALUES (0, ?, ?, ?, ?, ?, ?)")
        .bind(d.last_position() + 1)
        .bind(now())
        .text(method)
        .text(model)
        .text(shown)
        .text(search_text(shown, method, model, {}))
        .run();
    const int64_t id = d.connection->last_id();
    sqlite::Query document = d.connection->query("INSERT INTO documents (job_id, job) VALUES (?, ?)");
    bind_json(document.bind(id), job);
    document.run();
    return id;
  });
}

JournalEntry Journal::entry(int64_t id) const {
  Database& d = *database_;
  return d.guarded([&] { return d.entry(id); });
}

std::vector<JournalEntry> Journal::queue() const {
  Database& d = *database_;
  return d.guarded([&] {
    std::vector<JournalEntry> entries;
    sqlite::Query row = d.connection->query("SELECT " + kColumns + ", job, record FROM jobs LEFT JOIN documents ON job_id = jobs.id WHERE " + kWaiting + kQueueOrder);
    while (row.step()) entries.push_back(read_entry(row, false));
    return entries;
  });
}

std::vector<int64_t> Journal::queue_ids() const {
  Database& d = *database_;
  return d.guarded([&] {
    std::vector<int64_t> ids;
    sqlite::Query row = d.connection->query("SELECT jobs.id FROM jobs WHERE " + kWaiting + kQueueOrder);
    while (row.step()) ids.push_back(row.integer(0));
    return ids;
  });
}

std::vector<JournalEntry> Journal::history(const JournalSearch& search) const {
  std::vector<JournalEntry> entries;
  const std::string columns = search.brief ? kColumns + " FROM jobs" : kColumns + ", job, record FROM jobs LEFT JOIN documents ON job_id = jobs.id";
  database_->search(columns, search, [&](const sqlite::Query& row) { entries.push_back(read_entry(row, search.brief)); });
  return entries;
}

std::vector<int64_t> Journal::history_ids(const JournalSearch& search) const {
  std::vector<int64_t> ids;
  database_->search("jobs.id FROM jobs", search, [&](const sqlite::Query& row) { ids.push_back(row.integer(0)); });
  return ids;
}

std::vector<JournalEntry> Journal::brief_entries(const std::vector<int64_t>& ids) const {
  Database& d = *database_;
  return d.guarded([&] {
    std::map<int64_t, JournalEntry> found;
    sqlite::Query row = d.connection->query("SELECT " + kColumns + " FROM jobs WHERE jobs.id IN (SELECT value FROM json_each(?))");
    row.text(Json(ids).dump());
    while (row.step()) found.emplace(row.integer(0), read_entry(row, true));
    std::vector<JournalEntry> entries;
    for (const int64_t id : ids)
      if (const auto entry = found.find(id); entry != found.end()) entries.push_back(entry->second);
    return entries;
  });
}

std::optional<JournalEntry> Journal::start_next() {
  Database& d = *database_;
  const bool waiting = d.guarded([&] { return d.one("SELECT EXISTS (SELECT 1 FROM jobs WHERE state IN (0, 1, 5) AND state = 0)") != 0; });
  if (!waiting) return std::nullopt;
  return d.change([&]() -> std::optional<JournalEntry> {
    const int64_t id = d.one("SELECT id FROM jobs WHERE state IN (0, 1, 5) AND state = 0 ORDER BY position, id LIMIT 1");
    if (id == 0) return std::nullopt;
    d.connection->query("UPDATE jobs SET state = 1, started = ? WHERE id = ?").bind(now()).bind(id).run();
    return d.entry(id);
  });
}

void Journal::set_running(int64_t id) {
  Database& d = *database_;
  d.change([&] {
    d.require(id, {JobState::kQueued, JobState::kInterrupted}, "run");
    d.connection->query("UPDATE jobs SET state = 1, started = ? WHERE id = ?").bind(now()).bind(id).run();
  });
}

void Journal::add_file(int64_t id, const fs::path& file) {
  Database& d = *database_;
  d.change(
      [&] {
        d.require(id, {JobState::kRunning}, "given pictures");
        std::vector<fs::path> files = d.files_of(id);
        if (std::find(files.begin(), files.end(), file) != files.end()) return;
        files.push_back(file);
        d.set_files(id, files);
      },
      /*durable=*/false);
}

void Journal::set_done(int64_t id, const Json& record, const std::vector<fs::path>& files) {
  Database& d = *database_;
  const bool large = dump(record).size() > kLargestRecord;
  d.change([&] {
    d.end(id, JobState::kDone, 0, "", files);
    sqlite::Query query = d.connection->query("UPDATE documents SET record = ? WHERE job_id = ?");
    bind_json(query, large ? Json{{"left_out", "the record is too large to be kept"}} : record);
    query.bind(id).run();
  });
}

void Journal::set_failed(int64_t id, JobState state, int error_code, const std::string& error, const std::vector<fs::path>& files) {
  Database& d = *database_;
  if (state != JobState::kFailed && state != JobState::kCancelled && state != JobState::kInterrupted) fail(ExitCode::kUsage, "a job cannot fail by being {}", name(state));
  d.change([&] { d.end(id, state, error_code, error, files); });
}

void Journal::requeue(int64_t id) {
  Database& d = *database_;
  d.change([&] {
    d.require(id, {JobState::kFailed, JobState::kCancelled, JobState::kInterrupted}, "queued again");
    const bool waits = d.state_of(id) == JobState::kInterrupted;  // it has its place
    d.connection->query("UPDATE jobs SET state = 0, position = iif(?, position, ?), started = 0, finished = 0, error_code = 0, error = '' WHERE id = ?")
        .bind(static_cast<int64_t>(waits))
        .bind(d.last_position() + 1)
        .bind(id)
        .run();
  });
}

void Journal::move(int64_t id, int64_t before) {
  Database& d = *database_;
  if (id == before) return;
  const auto neighbours = [&]() -> std::pair<double, double> {
    if (before == 0) return {d.last_position(), d.last_position() + 2};
    sqlite::Query next = d.connection->query("SELECT position FROM jobs WHERE id = ?");
    next.bind(before).step();
    const double upper = next.real(0);
    sqlite::Query previous = d.connection->query("SELECT max(position) FROM jobs WHERE state IN (0, 1, 5) AND state <> 1 AND id <> ? AND (position < ? OR (position = ? AND id < ?))");
    previous.bind(id).bind(upper).bind(upper).bind(before).step();
    return {previous.is_null(0) ? upper - 2 : previous.real(0), upper};
  };
  d.change(
      [&] {
        d.require(id, {JobState::kQueued, JobState::kInterrupted}, "moved");
        if (before != 0) d.require(before, {JobState::kQueued, JobState::kInterrupted}, "moved before");
        auto [lower, upper] = neighbours();
        if (upper - lower < 1e-6) {
          d.renumber();
          std::tie(lower, upper) = neighbours();
        }
        d.connection->query("UPDATE jobs SET position = ? WHERE id = ?").bind((lower + upper) / 2).bind(id).run();
      },
      /*durable=*/false);
}

void Journal::rate(int64_t id, int64_t rating) {
  Database& d = *database_;
  if (rating < 0 || rating > 5) fail(ExitCode::kUsage, "the rating is {}; allowed are 0 to 5", rating);
  d.change(
      [&] {
        d.state_of(id);
        d.connection->query("UPDATE jobs SET rating = ? WHERE id = ?").bind(rating).bind(id).run();
      },
      false);
}

void Journal::remove(int64_t id) {
  Database& d = *database_;
  d.change([&] {
    if (d.state_of(id) == JobState::kRunning) fail(ExitCode::kUsage, "job {} is running; cancel it first", id);
    d.connection->query("DELETE FROM jobs WHERE id = ?").bind(id).run();
  });
}

void Journal::set_thumbnail(int64_t id, const std::string& png) {
  Database& d = *database_;
  if (png.size() > kLargestThumbnail) fail(ExitCode::kBadInput, "the thumbnail has {} bytes; at most {} are kept", png.size(), kLargestThumbnail);
  d.change(
      [&] {
        d.state_of(id);
        d.connection->query("INSERT OR REPLACE INTO thumbnails (job_id, png) VALUES (?, ?)").bind(id).blob(png).run();
      },
      false);
}

std::string Journal::thumbnail(int64_t id) const {
  Database& d = *database_;
  return d.guarded([&] {
    sqlite::Query row = d.connection->query("SELECT png FROM thumbnails WHERE job_id = ?");
    row.bind(id);
    return row.step() ? row.bytes(0) : std::string();
  });
}

int64_t Journal::version() const {
  Database& d = *database_;
  // While another thread writes, the last known number will do: views ask again with the next frame.
  if (const std::unique_lock guard(d.mutex, std::try_to_lock); guard) {
    try {
      const int64_t data_version = d.pragma("data_version");
      if (std::exchange(d.data_version, data_version) != data_version) ++d.version;
    } catch (const sqlite::Failure&) {
      // The next read says what is wrong.
    }
  }
  return d.version;
}

void Journal::on_change(std::function<void()> listener) {
  const std::lock_guard guard(database_->listener_mutex);
  database_->listener = std::move(listener);
}

}  // namespace attelier
