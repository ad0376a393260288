using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Tests;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What the system is told of reads that are apart from each other, and that it is told of no others.</summary>
public sealed class ScatteredLoadTests : IDisposable
{
    // Rows of 256 KiB, of which a quarter is a long segment.
    private static readonly Sample Rows = Sample.Make(7, ("t", DType.F32, [8, 65_536]));

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_load_of_segments_hints_while_it_reads_and_takes_that_back()
    {
        var calls = new RefusingCalls();
        await using var checkpoint = await OpenAsync(calls);
        await LoadAsync(checkpoint, new TensorSlice(1, 16_384, 16_384));
        Assert.Equal([true, false], calls.Hints);
    }

    [Fact]
    public async Task A_load_of_whole_tensors_and_one_of_rows_hint_nothing()
    {
        var calls = new RefusingCalls();
        await using var checkpoint = await OpenAsync(calls);
        await LoadAsync(checkpoint, null);
        await LoadAsync(checkpoint, new TensorSlice(0, 2, 2));
        Assert.Empty(calls.Hints);
    }

    [Fact]
    public async Task A_load_that_fails_takes_its_hint_back()
    {
        var calls = new RefusingCalls();
        await using var checkpoint = await OpenAsync(calls);
        using (var stream = new FileStream(checkpoint.Files[0].Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            stream.SetLength(stream.Length - 1000);
        }

        var failure = await Assert.ThrowsAnyAsync<CheckpointException>(() => LoadAsync(checkpoint, new TensorSlice(1, 49_152, 16_384)));
        Assert.Contains("'t'", failure.Message, StringComparison.Ordinal);
        Assert.Equal([true, false], calls.Hints);
    }

    private Task<Checkpoint> OpenAsync(RefusingCalls calls) =>
        Checkpoint.OpenAsync(new LocalFileSource(_folder.Write("model.safetensors", Rows.File), null, calls));

    private static async Task LoadAsync(Checkpoint checkpoint, TensorSlice? slice)
    {
        var device = new HostDevice();
        var plan = LoadPlanner.Plan(checkpoint, new LoadOptions { Device = device }, _ => true, _ => slice);
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            Assert.Equal(plan.DestinationBytes, model["t"].ByteLength);
        }

        Assert.Equal(0, device.LiveAllocations);
    }
}
