using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Plans of huge checkpoints: what they allocate grows with tensors and runs, and with nothing else.</summary>
public sealed class PlanScaleTests
{
    // A planned tensor with its shape, a slice, its slab, and what names are taken apart into; a run and its placement.
    private const long BytesPerTensor = 1100;
    private const long BytesPerRun = 32 + 24;

    private static readonly string[] Modules = ["mlp.up_proj", "mlp.gate_proj", "mlp.down_proj", "input_layernorm", "router"];

    public static TheoryData<string> Loads => ["keep", "f32", "slabs", "rank", "rank f32", "rank exact"];

    [Theory]
    [MemberData(nameof(Loads))]
    public async Task Plans_of_a_terabyte_allocate_what_their_tensors_and_runs_take(string load)
    {
        foreach (var (tensors, rows) in new[] { (1_000, 122_880L), (50_000, 2432L), (100_000, 1216L) })
        {
            await using var checkpoint = Open(tensors, rows);
            var options = Options(load);
            // What is made once in a process is none of the plan's.
            _ = LoadPlanner.Plan(checkpoint, options, tensor => tensor.Name.StartsWith("model.layers.0.", StringComparison.Ordinal));
            var before = GC.GetAllocatedBytesForCurrentThread();
            var plan = new CheckpointLoader().Plan(checkpoint, options);
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.Equal(tensors, plan.Tensors.Length);
            Assert.InRange(allocated, 1, (tensors * BytesPerTensor) + (plan.Runs.Length * BytesPerRun) + (64 << 10));
            Assert.InRange(allocated, 1, 200_000_000);
            Assert.InRange(plan.Runs.Length, 1, (4 * tensors) + (int)(plan.BytesToRead >> 19));
        }
    }

    [Fact]
    public async Task A_million_tensors_allocate_in_proportion()
    {
        var options = Options("slabs");
        await using var checkpoint = Open(1_000_000, 1);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var plan = new CheckpointLoader().Plan(checkpoint, options);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 1_000_000 * BytesPerTensor);
        Assert.Equal((1_000_000, 1_000_000), (plan.Tensors.Length, plan.SlabTensorCount));
        // 8 KiB each: neighbours share reads.
        Assert.InRange(plan.Runs.Length, 1, 8_000);
    }

    private static LoadOptions Options(string load) => new()
    {
        Device = new HostDevice(),
        DType = load.EndsWith("f32", StringComparison.Ordinal) ? DType.F32 : null,
        SlabBytes = load == "slabs" ? 64 << 20 : 0,
        TensorParallel = load.StartsWith("rank", StringComparison.Ordinal) ? new TensorParallel(8, 3) : null,
        ExactSlices = load == "rank exact",
    };

    // BF16 [rows, 4096] each; a plan looks at no byte of the file.
    private static Checkpoint Open(int tensors, long rows)
    {
        var file = new CheckpointFile("huge", "huge", "test", new MemorySource(new byte[1], "huge"));
        var bytes = rows * 4096 * 2;
        return Checkpoint.OfTensors(file, [.. Enumerable.Range(0, tensors).Select(i => new TensorInfo(
            $"model.layers.{i / 5}.{Modules[i % 5]}.weight", DType.BF16, new Shape(rows, 4096), file, i * bytes, bytes))]);
    }
}
