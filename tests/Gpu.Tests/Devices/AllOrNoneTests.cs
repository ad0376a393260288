using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Devices")]
public sealed class AllOrNoneTests
{
    [Fact]
    public void Each_is_reached_whatever_fails_and_the_first_failure_is_thrown()
    {
        var reached = new List<int>();
        var exception = Assert.Throws<InvalidOperationException>(() => AllOrNone.ForEach([1, 2, 3], member =>
        {
            reached.Add(member);
            throw new InvalidOperationException($"{member}");
        }));
        Assert.Equal("1", exception.Message);
        Assert.Equal([1, 2, 3], reached);
    }
}
