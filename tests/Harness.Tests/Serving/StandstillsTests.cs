using System.Diagnostics;
using Xunit;

namespace IlgpuLoader.Harness.Tests;

public sealed class StandstillsTests
{
    [Fact]
    public void What_lies_before_the_watch_is_no_standstill_and_a_longer_time_has_no_fewer_than_a_shorter()
    {
        var before = Stopwatch.GetTimestamp();
        using var standstills = new Standstills();
        var begin = Stopwatch.GetTimestamp();
        Thread.Sleep(20);
        var now = Stopwatch.GetTimestamp();

        Assert.False(standstills.Between(0, before));
        Assert.True(!standstills.Between(begin, now) || standstills.Between(before, now));
        standstills.Clear();
        Assert.False(standstills.Between(before, begin));
    }

    [Fact]
    public void The_threads_end_with_it()
    {
        var standstills = new Standstills();
        standstills.Dispose();
        var after = Stopwatch.GetTimestamp();
        Assert.False(standstills.Between(after, long.MaxValue));
    }
}
