#include "parallel.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace geneface {
namespace {

int64_t process_id() {
#if defined(_WIN32)
    return 0;  // processes are not forked
#else
    return getpid();
#endif
}

class Pool {
public:
    void run(int64_t count, int threads, const std::function<void(int64_t)>& task) {
        // A call from a second thread of the program while the pool works runs alone.
        std::unique_lock<std::mutex> sole(running_, std::try_to_lock);
        if (!sole.owns_lock()) {
            for (int64_t i = 0; i < count; ++i) task(i);
            return;
        }
        while (static_cast<int>(workers_.size()) < threads - 1) workers_.emplace_back([this] { work(); });
        std::unique_lock<std::mutex> lock(mutex_);
        task_ = &task;
        count_ = count;
        next_.store(0);
        free_places_ = threads - 1;
        ++generation_;
        lock.unlock();
        wake_.notify_all();
        take(task, count);
        lock.lock();
        task_ = nullptr;  // a worker that has not come by now finds nothing to do: no waiting for it
        done_.wait(lock, [this] { return working_ == 0; });
    }

private:
    void take(const std::function<void(int64_t)>& task, int64_t count) {
        for (int64_t i; (i = next_.fetch_add(1)) < count;) task(i);
    }

    void work() {
        uint64_t seen = 0;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return task_ && generation_ != seen; });
            seen = generation_;
            if (free_places_ == 0) continue;
            --free_places_;
            ++working_;
            const std::function<void(int64_t)>& task = *task_;  // stays alive until working_ is 0 again
            const int64_t count = count_;
            lock.unlock();
            take(task, count);
            lock.lock();
            if (--working_ == 0) done_.notify_one();
        }
    }

    std::mutex running_, mutex_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> workers_;
    const std::function<void(int64_t)>* task_ = nullptr;
    int64_t count_ = 0;
    std::atomic<int64_t> next_{0};
    int free_places_ = 0, working_ = 0;
    uint64_t generation_ = 0;
};

// Never destroyed: its threads wait until the process ends, and a forked child, which has none of
// them, must not try to join them. A child makes a pool of its own.
Pool& pool() {
    static std::mutex making;
    static Pool* current = nullptr;
    static int64_t owner = -1;
    std::lock_guard<std::mutex> lock(making);
    if (!current || owner != process_id()) {
        current = new Pool;
        owner = process_id();
    }
    return *current;
}

}  // namespace

void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& task) {
    if (threads > count) threads = static_cast<int>(count);
    if (threads <= 1) {
        for (int64_t i = 0; i < count; ++i) task(i);
        return;
    }
    pool().run(count, threads, task);
}

}  // namespace geneface
