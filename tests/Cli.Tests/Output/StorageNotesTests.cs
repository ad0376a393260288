using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class StorageNotesTests
{
    private static readonly CheckpointFile File = new("f", "f", "test", new MemorySource(new byte[4096], "f"));

    private static readonly TensorInfo[] Tensors =
    [
        new("alone", DType.F32, new Shape(4), File, 0, 16),
        new("x.whole", DType.F32, new Shape(10, 10), File, 16, 400),
        new("x.turned", DType.F32, new Shape(10, 10), File, 16, 400) { Strides = [1, 10], TiedTo = null },
        new("x.same", DType.F32, new Shape(10, 10), File, 16, 400) { Strides = [1, 10], TiedTo = "x.turned" },
        new("row", DType.F32, new Shape(10), File, 16, 400) { Strides = [1], StorageOffset = 20 },
        new("first", DType.F32, new Shape(5), File, 416, 80) { Strides = [2], StorageOffset = 0 },
    ];

    [Fact]
    public void A_view_says_its_strides_and_whose_bytes_it_shares()
    {
        var notes = new StorageNotes(Tensors);
        Assert.Equal(
            [
                "",
                "",
                "view with strides [1, 10] at 0, not contiguous, shares the bytes of x.whole",
                "tied to x.turned, view with strides [1, 10] at 0, not contiguous, shares the bytes of x.whole",
                "view with strides [1] at 20, shares the bytes of x.whole",
                "view with strides [2] at 0, not contiguous",
            ],
            Tensors.Select(notes.Describe));
        Assert.Equal(
            [null, null, "x.whole", "x.whole", "x.whole", null],
            Tensors.Select(notes.SharedWith));
        Assert.Equal(496, StoredSize.Of(Tensors));
    }

    [Fact]
    public void A_document_has_a_view_only_for_views()
    {
        var notes = new StorageNotes(Tensors);
        Assert.Null(ListedView.Of(Tensors[1], notes));
        var view = ListedView.Of(Tensors[4], notes)!;
        Assert.Equal((20, true, 16, 400, "x.whole"), (view.StorageOffset, view.Contiguous, view.StorageStart, view.StorageBytes, view.SharesWith));
        Assert.Equal([1], view.Strides);
        Assert.False(ListedView.Of(Tensors[2], notes)!.Contiguous);
    }

    [Fact]
    public void A_tree_counts_each_storage_once_and_shows_the_size_of_each_tensor()
    {
        var output = new StringWriter();
        TensorTree.Build(Tensors, new StorageNotes(Tensors)).WriteTo(output);
        var lines = output.ToString().Split('\n');
        Assert.EndsWith("  400 B", lines.Single(line => line.StartsWith("x ", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.EndsWith("   40 B", lines.Single(line => line.StartsWith("row", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.EndsWith("   20 B", lines.Single(line => line.StartsWith("first", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Contains("F32 [10, 10], view with strides [1, 10] at 0, not contiguous, shares the bytes of x.whole", output.ToString(), StringComparison.Ordinal);
    }
}
