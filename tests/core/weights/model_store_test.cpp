#include "core/weights/model_store.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "core/base/files.h"
#include "core/weights/model_files.h"
#include "tests/core/weights/model_files_testing.h"

namespace attelier {
namespace {
namespace fs = std::filesystem;

// A user with an empty home.
struct Home {
  TemporaryFolder folder;
  Environment data{"XDG_DATA_HOME", (folder / "data").string()};
  Environment cache{"XDG_CACHE_HOME", (folder / "cache").string()};
  Environment assets{"ATTELIER_ASSETS", (folder / "assets").string()};
  Environment models{"ATTELIER_MODELS", ""};
};

fs::path model(const std::string& name) { return fixture("model_files/" + name); }

TEST(ModelStore, AddListVerifyRemove) {
  const Home home;
  ModelStore store;
  EXPECT_TRUE(store.list().empty());
  const StoredModel folder = store.add(model("sdxl"));
  EXPECT_EQ(folder.name, "sdxl");
  EXPECT_EQ(folder.family, "sdxl");
  EXPECT_EQ(folder.sha256, ModelFiles(model("sdxl")).hash());
  EXPECT_EQ(folder.components, ModelFiles(model("sdxl")).components());
  store.add(model("sd2.ckpt"), "old");
  EXPECT_EQ(store.add(fixture("lora/peft.safetensors")).family, "lora");

  const auto list = ModelStore().list();
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].name, "old");
  EXPECT_EQ(list[0].path, model("sd2.ckpt"));
  EXPECT_EQ(list[0].bytes, static_cast<int64_t>(fs::file_size(model("sd2.ckpt"))));
  EXPECT_EQ(list[1].name, "peft");
  EXPECT_EQ(list[2].sha256, folder.sha256);
  for (const StoredModel& entry : list) EXPECT_EQ(store.verify(entry), "") << entry.name;

  EXPECT_EQ(store.remove("old").path, model("sd2.ckpt"));
  EXPECT_TRUE(fs::exists(model("sd2.ckpt")));
  EXPECT_EQ(ModelStore().list().size(), 2u);
  EXPECT_TRUE(contains(message_of(ExitCode::kUsage, [&] { store.remove("sdxk"); }), "did you mean \"sdxl\"?"));
}

TEST(ModelStore, VerifyFindsChangedAndLostModels) {
  const Home home;
  ModelStore store;
  fs::copy_file(model("sd1.safetensors"), home.folder / "mine.safetensors");
  const StoredModel added = store.add(home.folder / "mine.safetensors");
  {
    std::fstream file(home.folder / "mine.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('\x3a');
  }
  EXPECT_TRUE(contains(store.verify(added), "has changed"));
  EXPECT_NE(store.add(home.folder / "mine.safetensors").sha256, added.sha256) << "adding again renews the entry";
  EXPECT_EQ(store.verify(store.find("mine")), "");
  fs::resize_file(home.folder / "mine.safetensors", 1000);
  EXPECT_TRUE(contains(store.verify(added), "mine.safetensors"));
  fs::remove(home.folder / "mine.safetensors");
  EXPECT_TRUE(contains(store.verify(added), "does not exist"));
}

TEST(ModelStore, NamesMustBeFreeAndPlain) {
  const Home home;
  ModelStore store;
  store.add(model("sd1"), "one");
  EXPECT_TRUE(contains(message_of(ExitCode::kUsage, [&] { store.add(model("sd1.safetensors"), "one"); }), "taken by"));
  for (const char* name : {"a/b", "..", ".hidden", "-flag", "x.safetensors", "a\nb"})
    EXPECT_TRUE(contains(message_of(ExitCode::kUsage, [&] { store.add(model("sd1"), name); }), "--name")) << name;
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [&] { store.add(home.folder / "nothing"); }), "does not exist"));
  EXPECT_EQ(store.list().size(), 1u);
}

TEST(ModelStore, ADamagedListIsReportedAndLeftAlone) {
  const Home home;
  ModelStore store;
  fs::create_directories(store.index().parent_path());
  for (const char* text : {"{", "[]", "{\"version\": 2, \"models\": {}}", "{\"version\": 1, \"models\": {\"a\": {\"path\": 1}}}"}) {
    std::ofstream(store.index()) << text;
    EXPECT_TRUE(contains(message_of(ExitCode::kBadInput, [&] { store.add(model("sd1")); }), "the list of models")) << text;
    EXPECT_EQ(read_file(store.index()), text);
  }
}

TEST(ModelStore, ConcurrentChangesAllArrive) {
  const Home home;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([i] { ModelStore().add(model("controlnet.safetensors"), fmt::format("n{}", i)); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ModelStore().list().size(), 8u);
}

TEST(ResolveModel, LooksInTheFoldersInOrder) {
  const Home home;
  const auto put = [&](const std::string& place) {
    fs::create_directories(home.folder.path() / place);
    fs::create_directory_symlink(model("sd1"), home.folder.path() / place / "mini");
    return home.folder.path() / place / "mini";
  };
  const fs::path assets = put("assets");
  EXPECT_EQ(resolve_model("mini"), assets);
  const fs::path data = put("data/attelier/models");
  EXPECT_EQ(resolve_model("mini"), data);
  ModelStore().add(model("sdxl"), "mini");
  EXPECT_EQ(resolve_model("mini"), model("sdxl"));
  const fs::path second = put("second");
  const Environment models("ATTELIER_MODELS", (home.folder / "first").string() + ":" + (home.folder / "second").string());
  EXPECT_EQ(resolve_model("mini"), second);
  EXPECT_EQ(resolve_model("mini"), second);
  EXPECT_EQ(resolve_model("mini", home.folder / "flag"), second);
  const fs::path flag = put("flag");
  EXPECT_EQ(resolve_model("mini", home.folder / "flag"), flag);
  fs::create_symlink(model("sd1.safetensors"), home.folder / "first-file.safetensors");
  EXPECT_EQ(resolve_model("first-file", home.folder.path()), home.folder / "first-file.safetensors");
  EXPECT_EQ(known_models(home.folder.path()), (std::vector<std::string>{"first-file", "mini"}));
}

TEST(ResolveModel, PathsAndErrors) {
  const Home home;
  EXPECT_EQ(resolve_model(model("sd1").string()), model("sd1"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { resolve_model("./nothing"); }), "\"./nothing\" does not exist"));
  EXPECT_TRUE(contains(message_of(ExitCode::kModel, [] { resolve_model("gone.safetensors"); }), "does not exist"));
  message_of(ExitCode::kModel, [] { resolve_model(""); });
  ModelStore().add(model("sd1"), "landscape");
  const std::string message = message_of(ExitCode::kModel, [] { resolve_model("landscpae"); });
  EXPECT_TRUE(contains(message, "did you mean \"landscape\"?"));
  EXPECT_TRUE(contains(message, "models.json"));
  EXPECT_TRUE(contains(message, (home.folder / "assets").string()));
}

}  // namespace
}  // namespace attelier
