using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

public sealed class ThroughputTests
{
    private readonly ManualTime _time = new();
    private readonly Throughput _throughput;

    public ThroughputTests() => _throughput = new Throughput(_time);

    [Fact]
    public void BytesPerSecond_BeforeTheFirst_IsZero() => Assert.Equal(0, _throughput.BytesPerSecond);

    [Fact]
    public void BytesPerSecond_SteadyReads_AreTheirRate()
    {
        Read(seconds: 10, bytesPerSecond: 1000);

        Assert.InRange(_throughput.BytesPerSecond, 950, 1050);
    }

    [Fact]
    public void BytesPerSecond_SlowerReads_FollowWithinTheWindow()
    {
        var read = Read(seconds: 10, bytesPerSecond: 1000);
        Read(seconds: 3, bytesPerSecond: 100, read);

        Assert.InRange(_throughput.BytesPerSecond, 90, 110);
    }

    [Fact]
    public void BytesPerSecond_NothingReadAnyMore_FallsToZero()
    {
        Read(seconds: 10, bytesPerSecond: 1000);
        _time.Advance(TimeSpan.FromSeconds(3));

        Assert.Equal(0, _throughput.BytesPerSecond);
    }

    private long Read(int seconds, int bytesPerSecond, long read = 0)
    {
        for (var i = 0; i < 100 * seconds; i++)
        {
            _throughput.Add(read += bytesPerSecond / 100);
            _time.Advance(TimeSpan.FromMilliseconds(10));
        }

        return read;
    }
}
