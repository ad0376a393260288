using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LaneThreadsTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(3, 3)]
    [InlineData(9, 4)]
    public async Task Where_threads_run_out_those_that_there_are_do_the_work(int threads, int lanes)
    {
        var started = 0;
        var ran = 0;
        await LaneThreads.RunAsync(
            4,
            (_, _) =>
            {
                Interlocked.Increment(ref ran);
                return Task.CompletedTask;
            },
            run => started++ < threads ? Task.Run(run) : throw new TaskSchedulerException("no more threads"),
            CancellationToken.None);
        Assert.Equal(lanes, ran);
    }

    [LinuxTheory]
    [InlineData(false, 0)]
    [InlineData(true, 10)]
    public async Task Lanes_step_back_where_they_are_asked_to_and_nobody_else_does(bool stepsBack, int nice)
    {
        var seen = new int[2];
        await LaneThreads.RunAsync(
            2,
            (lane, _) =>
            {
                seen[lane] = NiceOfThisThread();
                return Task.CompletedTask;
            },
            stepsBack,
            CancellationToken.None);

        Assert.Equal([NiceOfThisThread() + nice, NiceOfThisThread() + nice], seen);
    }

    // proc(5): behind the name, which ends with a bracket, the 17th field.
    private static int NiceOfThisThread()
    {
        var stat = File.ReadAllText("/proc/thread-self/stat");
        return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[16], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task Every_lane_has_ended_before_a_failure_is_thrown()
    {
        var ended = 0;
        var error = await Assert.ThrowsAsync<IOException>(() => LaneThreads.RunAsync(
            3,
            async (lane, token) =>
            {
                if (lane == 1)
                {
                    throw new IOException("this one");
                }

                try
                {
                    await Task.Delay(Timeout.Infinite, token);
                }
                finally
                {
                    Thread.Sleep(20);
                    Interlocked.Increment(ref ended);
                }
            },
            CancellationToken.None));
        Assert.Equal(("this one", 2), (error.Message, ended));
    }

    [Fact]
    public async Task Cancelling_wins_over_what_lanes_report_of_it()
    {
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => LaneThreads.RunAsync(
            2,
            async (lane, token) =>
            {
                await stop.CancelAsync();
                throw new IOException($"{lane}");
            },
            stop.Token));
    }
}
