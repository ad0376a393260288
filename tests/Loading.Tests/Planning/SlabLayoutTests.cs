using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class SlabLayoutTests
{
    private static readonly Sample Tensors = Sample.Make(
        1,
        ("a", DType.U8, [100]),
        ("large", DType.U8, [5000]),
        ("b", DType.U8, [256]),
        ("empty", DType.U8, [0]),
        ("c", DType.U8, [300]),
        ("d", DType.U8, [900]),
        ("e", DType.U8, [1]),
        ("last", DType.U8, [1000]));

    [Fact]
    public async Task Small_tensors_lie_aligned_one_behind_the_other_and_the_others_alone()
    {
        var plan = await PlanAsync(1200);
        Assert.Equal(
            [("a", 0, 0L), ("b", 0, 256L), ("c", 0, 512L), ("d", 1, 0L), ("e", 1, 1024L)],
            plan.Tensors.Where(tensor => tensor.Slab is not null).Select(tensor => (tensor.Name, tensor.Slab!.Slab, tensor.Slab.ByteOffset)));
        Assert.Equal<long>([812, 1025], plan.Slabs);
        Assert.Equal(5, plan.SlabTensorCount);
        Assert.Equal(100 + 5000 + 256 + 300 + 900 + 1 + 1000, plan.DestinationBytes);
        Assert.Equal(5000 + 812 + 1025 + 1000, plan.AllocatedBytes);
        Assert.Contains($"{Environment.NewLine}5 tensors in 2 slabs of memory{Environment.NewLine}", plan.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_size_every_tensor_lies_alone()
    {
        var plan = await PlanAsync(0);
        Assert.Empty(plan.Slabs);
        Assert.All(plan.Tensors, tensor => Assert.Null(tensor.Slab));
        Assert.Equal((0, plan.DestinationBytes), (plan.SlabTensorCount, plan.AllocatedBytes));
        Assert.DoesNotContain("slab", plan.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Converted_tensors_lie_as_large_as_they_become_and_views_as_their_block()
    {
        await using var checkpoint = ViewSample.OpenPair();
        var plan = new CheckpointLoader().Plan(
            checkpoint, new LoadOptions { Device = MetaDevice.Shared, DType = DType.F64, SlabBytes = 48 });
        Assert.Equal(48, Assert.Single(plan.Blocks).Memory.ByteLength);
        // One memory alone needs no slab.
        Assert.Empty(plan.Slabs);

        var sample = Sample.Make(1, ("a", DType.F32, [64]), ("b", DType.F32, [64]));
        await using var two = await sample.OpenAsync();
        Assert.Equal<long>([1024], Plan(two, DType.F64, 1024).Slabs);
        Assert.Empty(Plan(two, DType.F64, 1023).Slabs);
        Assert.Equal<long>([512], Plan(two, null, 1023).Slabs);

        static LoadPlan Plan(Checkpoint checkpoint, DType? dtype, long slabBytes) => new CheckpointLoader().Plan(
            checkpoint, new LoadOptions { Device = MetaDevice.Shared, DType = dtype, SlabBytes = slabBytes });
    }

    [Fact]
    public async Task A_negative_size_is_refused()
    {
        var error = await Assert.ThrowsAsync<ArgumentException>(() => PlanAsync(-1));
        Assert.Equal(nameof(LoadOptions.SlabBytes), error.ParamName);
    }

    // The largest there is: nothing overflows.
    [Fact]
    public async Task A_slab_of_any_size_takes_everything() => Assert.Equal<long>([8424], (await PlanAsync(long.MaxValue)).Slabs);

    private static async Task<LoadPlan> PlanAsync(long slabBytes)
    {
        await using var checkpoint = await Tensors.OpenAsync();
        return new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = MetaDevice.Shared, SlabBytes = slabBytes });
    }
}
