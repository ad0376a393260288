using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class RemoteOptionsTests
{
    [Theory]
    [InlineData(-1L)]
    [InlineData(0L)]
    [InlineData((3600L * TimeSpan.TicksPerSecond) + 1)]
    public void Timeout_OutOfRange_Throws(long ticks) => Assert.Throws<ArgumentOutOfRangeException>(() => new RemoteOptions { Timeout = TimeSpan.FromTicks(ticks) });

    [Theory]
    [InlineData(1L)]
    [InlineData(3600L * TimeSpan.TicksPerSecond)]
    public void Timeout_InRange_IsTaken(long ticks) => Assert.Equal(ticks, new RemoteOptions { Timeout = TimeSpan.FromTicks(ticks) }.Timeout.Ticks);

    [Theory]
    [InlineData(-1)]
    [InlineData(101)]
    public void MaximumRedirects_OutOfRange_Throws(int redirects) => Assert.Throws<ArgumentOutOfRangeException>(() => new RemoteOptions { MaximumRedirects = redirects });

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    public void MaximumRedirects_InRange_IsTaken(int redirects) => Assert.Equal(redirects, new RemoteOptions { MaximumRedirects = redirects }.MaximumRedirects);
}
