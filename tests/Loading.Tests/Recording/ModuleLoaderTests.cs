using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ModuleLoaderTests
{
    [Fact]
    public async Task Load_PackedParameter_ReadsThisRanksRowsOfEachPartAndNothingElse()
    {
        var sample = Sample.Make(1, ("a", DType.F32, [6, 4]), ("b", DType.F32, [2, 4]));
        var ranks = new List<byte[]>();
        for (var rank = 0; rank < 2; rank++)
        {
            RecordingSource? source = null;
            await using var checkpoint = await sample.OpenAsync(inner => source = new RecordingSource(inner));
            var opened = source!.BytesRead;
            var device = new HostDevice();
            using (var module = ModuleSample.Packed(new LinearLayout(4, ModuleSample.Whole.Parts, new TensorParallel(2, rank)), DType.F32))
            {
                var plan = new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = device } });
                Assert.Equal(opened, source.BytesRead);
                Assert.Equal(4 * 4 * 4, plan.Reads.BytesToRead);
                Assert.Equal(["a", "b"], plan.Parameters[0].Sources.Select(weight => weight.Weight));
                await new ModuleLoader().LoadAsync(plan);
                Assert.Equal(4 * 4 * 4, source.BytesRead - opened);
                ranks.Add(module.Parameters["weight"].Data.AsSpan<byte>().ToArray());
            }

            Assert.Equal(0, device.LiveAllocations);
        }

        // Three rows of a and one of b each.
        var (a, b) = (sample.Tensors["a"], sample.Tensors["b"]);
        Assert.Equal([.. a[..48], .. b[..16]], ranks[0]);
        Assert.Equal([.. a[48..], .. b[16..]], ranks[1]);
    }

    [Fact]
    public async Task Load_Tolerant_WarnsOnceOfEachAndClearsWhatNothingFills()
    {
        var sample = Sample.Make(1, ("a", DType.F32, [6, 4]), ("stranger", DType.U8, [3]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = ModuleSample.Packed(ModuleSample.Whole, DType.F32);
        module.Register("optional", new Parameter(DType.F32, new Shape(5)) { IsRequired = false });
        var warnings = new RecordedWarnings();
        var options = new ModuleLoadOptions { IsStrict = false, Warnings = warnings.ToLog() };
        var plan = new ModuleLoader().Plan(module, checkpoint, options);
        Assert.Equal(2, warnings.Texts.Count);
        Assert.Equal(["stranger"], plan.Unexpected.ToArray());
        Assert.Equal(["weight"], plan.Missing.Select(parameter => parameter.Name));
        await new ModuleLoader().LoadAsync(plan);
        Assert.Equal([.. sample.Tensors["a"], .. new byte[32]], module.Parameters["weight"].Data.AsSpan<byte>().ToArray());
        Assert.True(module.Parameters["optional"].IsMeta);
        using var again = ModuleSample.Packed(ModuleSample.Whole, DType.F32);
        again.Register("optional", new Parameter(DType.F32, new Shape(5)) { IsRequired = false });
        await new ModuleLoader().LoadAsync(again, CheckpointWeights.Of(checkpoint).ToAsyncEnumerable(), options);
        Assert.Equal([.. sample.Tensors["a"], .. new byte[32]], again.Parameters["weight"].Data.AsSpan<byte>().ToArray());
        Assert.True(again.Parameters["optional"].IsMeta);
    }

    [Fact]
    public async Task Load_TwoParametersOfOneTensor_ReadsItOnce()
    {
        var sample = Sample.Make(3, ("t", DType.BF16, [300, 40]));
        RecordingSource? source = null;
        await using var checkpoint = await sample.OpenAsync(inner => source = new RecordingSource(inner));
        var opened = source!.BytesRead;
        using var module = new ModuleSample.Twins(("one", DType.BF16), ("two", DType.BF16));
        var plan = new ModuleLoader().Plan(module, checkpoint);
        Assert.Equal(1, plan.RepeatedCount);
        await new ModuleLoader().LoadAsync(plan);
        Assert.Equal(24000, source.BytesRead - opened);
        Assert.Equal(sample.Tensors["t"], module.Parameters["one"].Data.AsSpan<byte>().ToArray());
        Assert.Equal(sample.Tensors["t"], module.Parameters["two"].Data.AsSpan<byte>().ToArray());
        Assert.NotSame(module.Parameters["one"].Data.Memory, module.Parameters["two"].Data.Memory);
    }

    [Fact]
    public async Task Load_TwoParametersOfTwoDTypes_ReadsTheTensorForEach()
    {
        var sample = Sample.Make(3, ("t", DType.BF16, [300, 40]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = new ModuleSample.Twins(("one", DType.BF16), ("two", DType.F32));
        var plan = new ModuleLoader().Plan(module, checkpoint);
        Assert.Equal(0, plan.RepeatedCount);
        await new ModuleLoader().LoadAsync(plan);
        Assert.Equal(sample.Tensors["t"], module.Parameters["one"].Data.AsSpan<byte>().ToArray());
        var widened = MemoryMarshal.Cast<byte, ushort>(sample.Tensors["t"]).ToArray().Select(bits => (uint)bits << 16).ToArray();
        Assert.Equal(widened, module.Parameters["two"].Data.AsSpan<uint>().ToArray());
    }

    [Fact]
    public async Task Load_LoaderThatNeedsValues_RunsAgainOnThePartItAsksFor()
    {
        var sample = Sample.Make(4, ("t", DType.U8, [10, 6]), ("u", DType.U8, [60]));
        RecordingSource? source = null;
        await using var checkpoint = await sample.OpenAsync(inner => source = new RecordingSource(inner));
        var opened = source!.BytesRead;
        var runs = 0;
        using var module = new Module();
        module.Register("t", new Parameter(DType.U8, new Shape(4, 6), (parameter, weight, _) =>
        {
            runs++;
            var part = weight.Narrow(0, 3, 4);
            var doubled = part.Materialize().AsReadOnlySpan<byte>().ToArray().Select(value => (byte)(value * 2)).ToArray();
            using var tensor = Tensor.FromValues<byte>(DType.U8, new Shape(4, 6), doubled);
            parameter.Data.CopyFrom(tensor);
        }));
        module.Register("u", new Parameter(DType.U8, new Shape(60)));
        var plan = new ModuleLoader().Plan(module, checkpoint);
        Assert.Equal((1, 1), (plan.ValueLoaderCount, runs));
        await new ModuleLoader().LoadAsync(plan);
        Assert.Equal(60 + 24, source.BytesRead - opened);
        Assert.Equal(sample.Tensors["t"][18..42].Select(value => (byte)(value * 2)).ToArray(), module.Parameters["t"].Data.AsSpan<byte>().ToArray());
        Assert.Equal(sample.Tensors["u"], module.Parameters["u"].Data.AsSpan<byte>().ToArray());
    }

    // There is no conversion of a copy from F32 to I64: what a loader computes is its own.
    [Fact]
    public async Task Load_LoaderThatComputesAnotherDType_IsNotRefusedForIt()
    {
        var sample = Sample.Make(4, ("t", DType.U8, [8]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Module();
        module.Register("t", new Parameter(DType.I64, new Shape(8), (parameter, weight, _) =>
        {
            long[] values = [.. weight.Materialize().AsReadOnlySpan<byte>().ToArray().Select(value => (long)value)];
            using var tensor = Tensor.FromValues<long>(DType.I64, new Shape(8), values);
            parameter.Data.CopyFrom(tensor);
        }));
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(module, checkpoint));
        Assert.Equal(sample.Tensors["t"].Select(value => (long)value), module.Parameters["t"].Data.AsSpan<long>().ToArray());
    }

    [Fact]
    public async Task Load_FillsAreDoneBeforeWhatIsRead()
    {
        var sample = Sample.Make(4, ("t", DType.U8, [3]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Module();
        module.Register("t", new Parameter(DType.U8, new Shape(5), (parameter, weight, _) =>
        {
            parameter.Data.Fill(7.0);
            using var place = parameter.Data.Narrow(0, 1, 3);
            weight.CopyTo(place);
        }));
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(module, checkpoint));
        Assert.Equal([7, .. sample.Tensors["t"], 7], module.Parameters["t"].Data.AsSpan<byte>().ToArray());
    }

    [Fact]
    public async Task Load_FillOverWhatWasCopied_KeepsItsOrder()
    {
        var sample = Sample.Make(4, ("t", DType.U8, [3]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Module();
        module.Register("t", new Parameter(DType.U8, new Shape(3), (parameter, weight, _) =>
        {
            weight.CopyTo(parameter.Data);
            using var place = parameter.Data.Narrow(0, 1, 1);
            place.Fill(7.0);
        }));
        var plan = new ModuleLoader().Plan(module, checkpoint);
        await new ModuleLoader().LoadAsync(plan);
        Assert.Equal([sample.Tensors["t"][0], 7, sample.Tensors["t"][2]], module.Parameters["t"].Data.AsSpan<byte>().ToArray());
    }

    // The second copy is the one that counts, whichever comes first in the file.
    [Fact]
    public async Task Load_CopiesOverOneAnother_KeepTheirOrder()
    {
        var sample = Sample.Make(4, ("t", DType.U8, [8]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Module();
        module.Register("t", new Parameter(DType.U8, new Shape(4), (parameter, weight, _) =>
        {
            weight.Narrow(0, 4, 4).CopyTo(parameter.Data);
            weight.Narrow(0, 0, 4).CopyTo(parameter.Data);
        }));
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(module, checkpoint));
        Assert.Equal(sample.Tensors["t"][..4], module.Parameters["t"].Data.AsSpan<byte>().ToArray());
    }

    [Fact]
    public async Task Load_WeightsOneByOne_LoadersThatNeedValuesGetThem()
    {
        var sample = Sample.Make(6, ("t", DType.U8, [6]));
        using var module = new Module();
        module.Register("t", new Parameter(DType.U8, new Shape(6), (parameter, weight, _) =>
        {
            var doubled = weight.Materialize().AsReadOnlySpan<byte>().ToArray().Select(value => (byte)(value * 2)).ToArray();
            using var tensor = Tensor.FromValues<byte>(DType.U8, new Shape(6), doubled);
            parameter.Data.CopyFrom(tensor);
        }));
        await new ModuleLoader().LoadAsync(module, new[] { new Weight("t", Tensor.FromValues<byte>(DType.U8, new Shape(6), sample.Tensors["t"])) }.ToAsyncEnumerable());
        Assert.Equal(sample.Tensors["t"].Select(value => (byte)(value * 2)).ToArray(), module.Parameters["t"].Data.AsSpan<byte>().ToArray());
    }

    // Outer dimensions exchanged, in pieces that are cut: elements of F4 share bytes.
    [Fact]
    public async Task Load_HalfBytesWithOuterDimensionsExchanged_AreInPlace()
    {
        var sample = Sample.Make(5, ("t", DType.F4, [64, 48, 64]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Module();
        module.Register("t", new Parameter(DType.F4, new Shape(48, 64, 64), (parameter, weight, _) =>
        {
            using var turned = parameter.Data.Transpose(0, 1);
            weight.CopyTo(turned);
        }));
        var plan = new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { StagingBytes = 128 << 10 } });
        await new ModuleLoader().LoadAsync(plan);
        var rows = sample.Tensors["t"].Chunk(32).ToArray();
        Assert.Equal(Enumerable.Range(0, 48).SelectMany(i => Enumerable.Range(0, 64).SelectMany(j => rows[(j * 48) + i])), module.Parameters["t"].Data.AsSpan<byte>().ToArray());
    }

    [Fact]
    public async Task Load_ReadFails_LeavesTheModelAsItWasAndFreesEverything()
    {
        var sample = Sample.Make(5, ("a", DType.F32, [6, 4]), ("b", DType.F32, [2, 4]));
        ActingSource? acting = null;
        await using var checkpoint = await sample.OpenAsync(inner => acting = new ActingSource(inner));
        var device = new HostDevice();
        using var module = ModuleSample.Packed(ModuleSample.Whole, DType.F16);
        var plan = new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = device } });
        acting!.Arm(1, () => throw new IOException("gone"));
        var exception = await Assert.ThrowsAsync<IOException>(() => new ModuleLoader().LoadAsync(plan));
        Assert.Contains("'a'", exception.Message, StringComparison.Ordinal);
        Assert.Equal(0, device.LiveAllocations);
        Assert.True(module.Parameters["weight"].IsMeta);
        await new ModuleLoader().LoadAsync(plan);
        Assert.False(module.Parameters["weight"].IsMeta);
        await Assert.ThrowsAsync<InvalidOperationException>(() => new ModuleLoader().LoadAsync(plan));
    }

    [Fact]
    public async Task Load_Cancelled_LeavesTheModelAsItWasAndFreesEverything()
    {
        using var stop = new CancellationTokenSource();
        ActingSource? acting = null;
        await using var checkpoint = await Sample.Make(5, ("a", DType.F32, [6, 4]), ("b", DType.F32, [2, 4])).OpenAsync(inner => acting = new ActingSource(inner));
        var device = new HostDevice();
        using var module = ModuleSample.Packed(ModuleSample.Whole, DType.F16);
        var plan = new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = device } });
        acting!.Arm(1, stop.Cancel);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new ModuleLoader().LoadAsync(plan, null, stop.Token));
        Assert.Equal(0, device.LiveAllocations);
        Assert.True(module.Parameters["weight"].IsMeta);
    }

    [Fact]
    public async Task Load_WeightsOneByOne_FillsTheSameAndReadsOfLazyOnesWhatLoadersAskFor()
    {
        var sample = Sample.Make(6, ("a", DType.F32, [6, 4]), ("b", DType.F32, [2, 4]));
        for (var rank = 0; rank < 2; rank++)
        {
            RecordingSource? source = null;
            await using var checkpoint = await sample.OpenAsync(inner => source = new RecordingSource(inner));
            var opened = source!.BytesRead;
            var layout = new LinearLayout(4, ModuleSample.Whole.Parts, new TensorParallel(2, rank));
            using var lazily = ModuleSample.Packed(layout, DType.F32);
            var filled = await new ModuleLoader().LoadAsync(lazily, CheckpointWeights.Of(checkpoint).ToAsyncEnumerable());
            Assert.All(filled, parameter => Assert.True(parameter.IsFilled));
            Assert.Equal(4 * 4 * 4, source.BytesRead - opened);
            using var eagerly = ModuleSample.Packed(layout, DType.F32);
            await new ModuleLoader().LoadAsync(eagerly, ModuleSample.Loaded(sample).ToAsyncEnumerable());
            using var planned = ModuleSample.Packed(layout, DType.F32);
            await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(planned, checkpoint));
            var expected = planned.Parameters["weight"].Data.AsSpan<byte>().ToArray();
            Assert.Equal(expected, lazily.Parameters["weight"].Data.AsSpan<byte>().ToArray());
            Assert.Equal(expected, eagerly.Parameters["weight"].Data.AsSpan<byte>().ToArray());
        }
    }
}
