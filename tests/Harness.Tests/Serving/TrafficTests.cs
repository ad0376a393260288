using System.Text.Json;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class TrafficTests
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(5);

    [Fact]
    public async Task Each_connection_asks_everything_in_turn_and_what_fails_is_counted_with_its_reason()
    {
        var asked = new TaskCompletionSource();
        var count = 0;
        using var service = new StandInService(line =>
        {
            if (Interlocked.Increment(ref count) == 40)
            {
                asked.SetResult();
            }

            return line switch
            {
                "GET /readyz" => (503, "not ready"),
                "GET /fails" => (500, "broken"),
                "GET /nothing" => (200, ""),
                _ => (200, "{}"),
            };
        });
        string[] paths = ["/api/models", "/readyz", "/fails", "/nothing"];
        await using var traffic = new Traffic(service.Address, paths, 3, Period);
        await traffic.OpenAsync();

        traffic.Start();
        await asked.Task.WaitAsync(TimeSpan.FromSeconds(30));
        var result = await traffic.StopAsync();

        Assert.Equal(paths.Order(StringComparer.Ordinal), result.Seconds.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(result.Seconds["/fails"].Length + result.Seconds["/nothing"].Length, result.Failures);
        Assert.All(result.Seconds["/fails"], seconds => Assert.Equal(TrafficResult.FailedSeconds, seconds));
        Assert.All(result.Seconds["/readyz"], seconds => Assert.InRange(seconds, 0, TrafficResult.FailedSeconds));
        Assert.All(result.Examples, example => Assert.Contains(example, (string[])["/fails: status 500", "/nothing: an empty answer"]));
        Assert.Equal(Math.Min(result.Failures, Traffic.MaximumExamples), result.Examples.Count);
        // All requests but the opening ones.
        Assert.Equal(count - 3, result.All.Count);
    }

    [Fact]
    public async Task A_pause_ends_the_asking_and_what_comes_after_it_counts_anew()
    {
        var count = 0;
        using var service = new StandInService(_ => (200, $"{Interlocked.Increment(ref count)}"));
        await using var traffic = new Traffic(service.Address, ["/a"], 2, Period);
        traffic.Start();
        var first = await traffic.StopAsync();
        var afterFirst = Volatile.Read(ref count);
        Assert.Equal(afterFirst, first.Seconds.Values.Sum(seconds => seconds.Length));

        traffic.Start();
        while (Volatile.Read(ref count) < afterFirst + 5)
        {
            await Task.Yield();
        }

        var second = await traffic.StopAsync();
        Assert.Equal(Volatile.Read(ref count) - afterFirst, second.All.Count);
        Assert.Equal(first.Seconds.Values.Sum(seconds => seconds.Length) + second.All.Count, TrafficResult.Of([first, second]).All.Count);
    }

    [Fact]
    public async Task A_service_that_lets_requests_wait_is_late_for_the_next_ones_too()
    {
        using var open = new ManualResetEventSlim();
        var third = new TaskCompletionSource();
        var count = 0;
        using var service = new StandInService(_ =>
        {
            open.Wait();
            if (Interlocked.Increment(ref count) == 3)
            {
                third.SetResult();
            }

            return (200, "x");
        });
        await using var traffic = new Traffic(service.Address, ["/a"], 1, Period);
        traffic.Start();
        // Nine more become due while the first waits: none is sent, and each counts from when it was due.
        await Task.Delay(Period * 10);
        open.Set();
        await third.Task.WaitAsync(TimeSpan.FromSeconds(30));
        var seconds = (await traffic.StopAsync()).Seconds["/a"];
        Assert.InRange(seconds[0], (Period * 9).TotalSeconds, TrafficResult.FailedSeconds);
        Assert.InRange(seconds[1], (Period * 8).TotalSeconds, TrafficResult.FailedSeconds);
        Assert.InRange(seconds[2], (Period * 7).TotalSeconds, TrafficResult.FailedSeconds);
    }

    [Fact]
    public async Task Nobody_there_is_a_failure_with_its_reason_and_no_connection_opens()
    {
        var address = Closed();
        await using var traffic = new Traffic(address, ["/a"], 1, Period);
        await Assert.ThrowsAsync<HttpRequestException>(traffic.OpenAsync);
    }

    [Fact]
    public void A_result_goes_through_the_pipe_as_it_is_and_says_how_many_failed()
    {
        var result = new TrafficResult(new Dictionary<string, double[]> { ["/a"] = [0.25, 0.125], ["/b"] = [10] }, 1, ["/b: status 500"], [0.25]);
        var read = JsonSerializer.Deserialize<TrafficResult>(JsonSerializer.Serialize(result))!;
        Assert.Equal("3 requests, 1 error: /b: status 500", read.Describe());
        Assert.Equal(new Latencies(3, 0.25, 10, 10), read.All);
        Assert.Equal([0.25], read.Undisturbed);
        Assert.Equal("0 requests, no error", TrafficResult.Of([]).Describe());
    }

    private static Uri Closed()
    {
        using var service = new StandInService(_ => (200, ""));
        return service.Address;
    }
}
