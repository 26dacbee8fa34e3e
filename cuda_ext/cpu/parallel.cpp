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
        while (static_cast<int>(workers_.size()) < threads - 1) {
            const int number = static_cast<int>(workers_.size());
            workers_.emplace_back([this, number] { work(number); });
        }
        {
            std::lock_guard<std::mutex> lock(mutex_);
            task_ = &task;
            count_ = count;
            next_.store(0);
            helpers_ = threads - 1;
            busy_ = threads - 1;
            ++generation_;
        }
        wake_.notify_all();
        take();
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, [this] { return busy_ == 0; });
    }

private:
    void take() {
        for (int64_t i; (i = next_.fetch_add(1)) < count_;) (*task_)(i);
    }

    void work(int number) {
        uint64_t seen = 0;
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return generation_ != seen; });
            seen = generation_;
            if (number >= helpers_) continue;
            lock.unlock();
            take();
            lock.lock();
            if (--busy_ == 0) done_.notify_one();
        }
    }

    std::mutex running_, mutex_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> workers_;
    const std::function<void(int64_t)>* task_ = nullptr;
    int64_t count_ = 0;
    std::atomic<int64_t> next_{0};
    int helpers_ = 0, busy_ = 0;
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
