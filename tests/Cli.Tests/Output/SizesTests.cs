using IlgpuLoader.Cli.Output;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class SizesTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("65536", 65536)]
    [InlineData("12B", 12)]
    [InlineData("64K", 64 << 10)]
    [InlineData("64k", 64 << 10)]
    [InlineData("64KiB", 64 << 10)]
    [InlineData("64MiB", 64 << 20)]
    [InlineData("64 MiB", 64 << 20)]
    [InlineData("64MB", 64_000_000)]
    [InlineData("1.5G", 3L << 29)]
    [InlineData(".5g", 1L << 29)]
    [InlineData("2TB", 2_000_000_000_000)]
    [InlineData("1T", 1L << 40)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void Sizes_are_read_as_people_write_them(string text, long bytes)
    {
        Assert.True(Sizes.TryParse(text, out var read));
        Assert.Equal(bytes, read);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("lots")]
    [InlineData("GiB")]
    [InlineData(".")]
    [InlineData("-1")]
    [InlineData("1e3")]
    [InlineData("1,5G")]
    [InlineData("1.5.5")]
    [InlineData("1 G B")]
    [InlineData("1PiB?")]
    [InlineData("9223372036854775808")]
    [InlineData("8388608T")]
    [InlineData("99999999999999999999999T")]
    [InlineData("99999999999999999999999999999999999999")]
    public void What_is_no_size_is_refused(string text)
    {
        Assert.False(Sizes.TryParse(text, out _));
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(1000, "0.98 KiB")]
    [InlineData(1024, "1.00 KiB")]
    [InlineData(10 << 10, "10.0 KiB")]
    [InlineData(100 << 10, "100 KiB")]
    [InlineData(4L << 30, "4.00 GiB")]
    [InlineData(long.MaxValue, "8.00 EiB")]
    public void Sizes_are_written_with_three_digits(long bytes, string text)
    {
        Assert.Equal(text, Sizes.Format(bytes));
    }

    [Fact]
    public void Counts_have_separators()
    {
        Assert.Equal("6,738,415,616", Sizes.Count(6_738_415_616));
    }
}
