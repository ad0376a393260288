using System.Security.Cryptography;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>The grids against ggml's: SHA-256 of its tables (ggml-common.h), little-endian, computed outside this repository.</summary>
[Trait("Area", "Codecs")]
public sealed unsafe class GridTests
{
    [Fact]
    public void The_grid_of_IQ2_XXS_is_that_of_ggml() => AssertGrid(
        "05826b5d3e472a3a78f196be62ac78acf81df0f909626e12ab9fa2a5d490dd54", IQ2_XXSGrid.Bytes.ToArray());

    [Fact]
    public void The_grid_of_IQ2_XS_is_that_of_ggml() => AssertGrid(
        "06e47aaca60b4dc1d9b5a3f34540437058a6b142b4d7a59d5ded769b4d1bf1de", IQ2_XSGrid.Bytes.ToArray());

    [Fact]
    public void The_grid_of_IQ2_S_is_that_of_ggml() => AssertGrid(
        "e1aa1473412b0552c2174c30ef22ab4073f6a181b85a17056e8249bd2932fd88", IQ2_SGrid.Bytes.ToArray());

    [Fact]
    public void The_grid_of_IQ3_XXS_is_that_of_ggml() => AssertGrid(
        "46e35f5a997efdee6c99ce57854c8a0d4f0ff8ca57e5e8a60c0793ea580acf5d", IQ3_XXSGrid.Bytes.ToArray());

    [Fact]
    public void The_grid_of_IQ3_S_is_that_of_ggml() => AssertGrid(
        "bd1af4945a1717c65610b0284e4628b9a1ba3b306fae3a06f6e5f597356e349f", IQ3_SGrid.Bytes.ToArray());

    [Fact]
    public void The_grid_of_IQ1_is_eight_times_that_of_ggml()
    {
        var values = IQ1Grid.Bytes.ToArray();
        Assert.All(values, value => Assert.Equal(0, (sbyte)value % 8));
        AssertGrid("07540ffc1aeaf6ad4d97e96b0fcc765aae39671d4ae4a27bbd0e796fde167c6a", [.. values.Select(value => (byte)((sbyte)value / 8))]);
    }

    [Fact]
    public void A_grid_begins_where_its_pointer_says_after_a_collection_too()
    {
        GC.Collect();
        Assert.True(new ReadOnlySpan<byte>(IQ1Grid.Start, IQ1Grid.Bytes.Length).SequenceEqual(IQ1Grid.Bytes));
        fixed (byte* first = IQ1Grid.Bytes)
        {
            Assert.True(first == IQ1Grid.Start);
        }
    }

    private static void AssertGrid(string expected, byte[] values) => Assert.Equal(expected, Convert.ToHexStringLower(SHA256.HashData(values)));
}
