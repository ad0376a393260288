using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class TensorTreeTests
{
    [Fact]
    public async Task Numbers_in_names_are_ordered_as_numbers()
    {
        Assert.Equal(
            """
              layer  3 tensors  3 B
                1    U8 [1]     1 B
                2    U8 [1]     1 B
                10   U8 [1]     1 B
            """,
            await TreeAsync("layer.10", "layer.2", "layer.1"));
    }

    [Fact]
    public async Task A_tensor_may_be_a_branch_as_well()
    {
        Assert.Equal(
            """
              a      U8 [1]  2 B
                b.c  U8 [1]  1 B
            """,
            await TreeAsync("a.b.c", "a"));
    }

    [Fact]
    public async Task Names_of_dots_and_of_nothing_have_their_place()
    {
        Assert.Equal(
            """
                    U8 [1]     3 B
                .   U8 [1]     1 B
                a   U8 [1]     1 B
              a     2 tensors  2 B
                .b  U8 [1]     1 B
                b   U8 [1]     1 B
            """,
            await TreeAsync("", "..", ".a", "a..b", "a.b"));
    }

    [Fact]
    public async Task A_name_of_a_hundred_thousand_dots_is_one_line()
    {
        var name = string.Concat(Enumerable.Repeat("a.", 100_000)) + "a";
        Assert.Equal($"  {name}  U8 [1]  1 B", await TreeAsync(name));
    }

    private static async Task<string> TreeAsync(params string[] names)
    {
        using var folder = new TemporaryFolder();
        var builder = new SafetensorsBuilder();
        foreach (var name in names)
        {
            builder.Add(name, "U8", [1], [0]);
        }

        var text = (await ToolRun.OfAsync("inspect", folder.Write("a.safetensors", builder.ToBytes()), "--tree")).Out;
        var begin = text.IndexOf("tensors\n", StringComparison.Ordinal) + "tensors\n".Length;
        return text[begin..text.IndexOf("\n\ntotals", StringComparison.Ordinal)];
    }
}
