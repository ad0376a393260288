using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ModuleLoaderTests
{
    private static readonly LinearLayout Whole = new(4, [new PackedPart("a", 6), new PackedPart("b", 2)]);

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
            using (var module = Packed(new LinearLayout(4, Whole.Parts, new TensorParallel(2, rank)), DType.F32))
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
    public async Task Plan_NothingFillsAParameterAndNothingTakesATensor_NamesBothWithTheirShapes()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [6, 4]), ("stranger", DType.U8, [3])).OpenAsync();
        using var module = Packed(Whole, DType.F32);
        module.Register("other", new Parameter(DType.F32, new Shape(5)));
        module.Register("optional", new Parameter(DType.F32, new Shape(5)) { IsRequired = false });
        var exception = Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint));
        Assert.Equal(
            [
                "only 24 of the 32 elements of parameter 'weight' of shape [8, 4] are filled, by 'a'",
                "nothing fills parameter 'other' of shape [5]",
                "tensor 'stranger' of shape [3] goes into no parameter",
            ],
            exception.Problems.ToArray());
        Assert.Contains("sample.safetensors", exception.Message, StringComparison.Ordinal);
        Assert.Contains(nameof(ModuleLoadOptions.IsStrict), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_Tolerant_WarnsOnceOfEachAndClearsWhatNothingFills()
    {
        var sample = Sample.Make(1, ("a", DType.F32, [6, 4]), ("stranger", DType.U8, [3]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = Packed(Whole, DType.F32);
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
        using var again = Packed(Whole, DType.F32);
        again.Register("optional", new Parameter(DType.F32, new Shape(5)) { IsRequired = false });
        await new ModuleLoader().LoadAsync(again, CheckpointWeights.Of(checkpoint).ToAsyncEnumerable(), options);
        Assert.Equal([.. sample.Tensors["a"], .. new byte[32]], again.Parameters["weight"].Data.AsSpan<byte>().ToArray());
        Assert.True(again.Parameters["optional"].IsMeta);
    }

    [Fact]
    public async Task Plan_TwoTensorsForOnePlace_NamesParameterAndBoth()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [6, 4]), ("a2", DType.F32, [6, 4]), ("b", DType.F32, [2, 4])).OpenAsync();
        using var module = Packed(Whole, DType.F32);
        var options = new ModuleLoadOptions { Rename = name => name == "a2" ? "a" : name };
        var exception = Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint, options));
        Assert.Equal(["parameter 'weight' is filled twice, by tensor 'a' and by tensor 'a2'"], exception.Problems.ToArray());
    }

    [Fact]
    public async Task Plan_OnePlaceWrittenTwiceAndAnotherNever_IsNotFilled()
    {
        await using var checkpoint = await Sample.Make(1, ("t", DType.F32, [2, 3])).OpenAsync();
        using var module = new Module();
        module.Register("t", new Parameter(DType.F32, new Shape(4, 3), (parameter, weight, _) =>
        {
            using var place = parameter.Data.Narrow(0, 1, 2);
            weight.CopyTo(place);
            weight.CopyTo(place);
        }));
        var exception = Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint));
        Assert.Equal(["only 6 of the 12 elements of parameter 't' of shape [4, 3] are filled, by 't'"], exception.Problems.ToArray());
    }

    // Every second row from one tensor, the others from another: their boxes overlap, their elements do not.
    [Theory]
    [InlineData(0, 1, true)]
    [InlineData(0, 0, false)]
    public async Task Plan_RowsOfTwoTensorsInTurn_AreToldApart(int first, int second, bool fits)
    {
        var sample = Sample.Make(1, ("a", DType.F32, [4, 3]), ("b", DType.F32, [4, 3]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = new PackedModule();
        module.Register("weight", new Parameter(DType.F32, new Shape(8, 3), (parameter, weight, shard) =>
        {
            using var turns = parameter.Data.View(4, 2, 3);
            using var place = turns.Select(1, shard.Part == "a" ? first : second);
            weight.CopyTo(place);
        }));
        if (!fits)
        {
            var problem = Assert.Single(Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint)).Problems);
            Assert.Equal("parameter 'weight' is filled twice, by tensor 'a' and by tensor 'b'", problem);
            return;
        }

        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(module, checkpoint));
        var rows = sample.Tensors["a"].Chunk(12).Zip(sample.Tensors["b"].Chunk(12)).SelectMany(pair => pair.First.Concat(pair.Second));
        Assert.Equal(rows, module.Parameters["weight"].Data.AsSpan<byte>().ToArray());
    }

    [Fact]
    public async Task Plan_WrongShape_NamesTensorParameterShapesAndRank()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [5, 4]), ("b", DType.F32, [2, 3])).OpenAsync();
        using var module = Packed(Whole, DType.F32);
        var exception = Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint));
        Assert.Equal(2, exception.Problems.Length);
        Assert.All(exception.Problems, problem => Assert.Contains("parameter 'weight' of shape [8, 4] on rank 0 of 1", problem, StringComparison.Ordinal));
        Assert.Contains("tensor 'a' of shape [5, 4]", exception.Problems[0], StringComparison.Ordinal);
        Assert.Contains("tensor 'b' of shape [2, 3]", exception.Problems[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_NoConversionToTheParametersDType_NamesBoth()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [6, 4]), ("b", DType.I64, [2, 4])).OpenAsync();
        using var module = Packed(Whole, DType.I64);
        var exception = Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint));
        Assert.Equal(["tensor 'a' is F32 and parameter 'weight' I64, to which there is no conversion"], exception.Problems.ToArray());
    }

    [Fact]
    public async Task Load_TwoParametersOfOneTensor_ReadsItOnce()
    {
        var sample = Sample.Make(3, ("t", DType.BF16, [300, 40]));
        RecordingSource? source = null;
        await using var checkpoint = await sample.OpenAsync(inner => source = new RecordingSource(inner));
        var opened = source!.BytesRead;
        using var module = new Twins(("one", DType.BF16), ("two", DType.BF16));
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
        using var module = new Twins(("one", DType.BF16), ("two", DType.F32));
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

    [Fact]
    public async Task Plan_LoaderThatCopiesWhatItMadeWithoutValues_SaysHowToTakeThem()
    {
        await using var checkpoint = await Sample.Make(4, ("t", DType.F32, [4])).OpenAsync();
        using var module = new Module();
        module.Register("t", new Parameter(DType.F32, new Shape(4), (parameter, weight, _) =>
        {
            using var copy = weight.Tensor.To(DType.F32);
            parameter.Data.CopyFrom(copy);
        }));
        var exception = Assert.Throws<InvalidOperationException>(() => new ModuleLoader().Plan(module, checkpoint));
        Assert.Contains("Weight.Materialize", exception.Message, StringComparison.Ordinal);
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
    public async Task Plan_AnOptionalParameterFilledInPart_IsAnError()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [6, 4])).OpenAsync();
        using var module = new PackedModule();
        module.Register("weight", new Parameter(DType.F32, new Shape(8, 4), WeightLoaders.Linear(Whole, ParameterAxes.Weight)) { IsRequired = false });
        Assert.Equal(
            ["only 24 of the 32 elements of parameter 'weight' of shape [8, 4] are filled, by 'a'"],
            Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint)).Problems.ToArray());
    }

    [Theory]
    [InlineData(ParameterConversion.None, "F16", "its bits have a meaning of their own")]
    [InlineData(ParameterConversion.FromFloats, "I8", "whole numbers are no weights without what scales them")]
    [InlineData(ParameterConversion.FromFloats, "F16", null)]
    [InlineData(ParameterConversion.Any, "I8", null)]
    public async Task Plan_AStoredDTypeThatWouldMeanSomethingElse_IsRefusedAlsoLeniently(ParameterConversion conversion, string stored, string? problem)
    {
        var dtype = stored == "I8" ? DType.I8 : DType.F16;
        await using var checkpoint = await Sample.Make(1, ("t", dtype, [6])).OpenAsync();
        using var module = new Module();
        module.Register("t", new Parameter(DType.F32, new Shape(6)) { Conversion = conversion });
        var options = new ModuleLoadOptions { IsStrict = false };
        if (problem is null)
        {
            Assert.Empty(new ModuleLoader().Plan(module, checkpoint, options).Missing);
            return;
        }

        Assert.Contains(problem, Assert.Single(Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint, options)).Problems), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_AScaleThatNothingTakesBesideItsWeight_IsRefusedAlsoLeniently()
    {
        await using var checkpoint = await Sample.Make(1, ("l.weight", DType.F8_E4M3, [6]), ("l.weight_scale_inv", DType.F32, [1])).OpenAsync();
        using var module = new Module();
        module.Register("l", new Module()).Register("weight", new Parameter(DType.F32, new Shape(6)));
        var exception = Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { IsStrict = false }));
        Assert.Contains("'l.weight_scale_inv'", Assert.Single(exception.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_WeightsOneByOne_OneArrivesTwiceAndAnotherNever_IsAnError()
    {
        var sample = Sample.Make(6, ("a", DType.F32, [6, 4]));
        using var module = Packed(Whole, DType.F32);
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(
            () => new ModuleLoader().LoadAsync(module, Loaded(sample).Concat(Loaded(sample)).ToAsyncEnumerable(), new ModuleLoadOptions { IsStrict = false }));
        Assert.Equal(["parameter 'weight' is filled twice, by tensor 'a' and by tensor 'a'"], exception.Problems.ToArray());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Load_ComposedOnOnePartOfAPackedParameter_IsNotFilledByIt(bool oneByOne)
    {
        var sample = Sample.Make(6, ("a", DType.F32, [6, 4]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = new PackedModule();
        var loader = WeightLoaders.Composed(WeightLoaders.Linear(Whole, ParameterAxes.Weight), tensor => tensor.To(DType.F32));
        module.Register("weight", new Parameter(DType.F32, new Shape(8, 4), loader));
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => oneByOne
            ? new ModuleLoader().LoadAsync(module, Loaded(sample).ToAsyncEnumerable())
            : Task.FromResult(new ModuleLoader().Plan(module, checkpoint)));
        Assert.Equal(["only 24 of the 32 elements of parameter 'weight' of shape [8, 4] are filled, by 'a'"], exception.Problems.ToArray());
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

    [Fact]
    public async Task Plan_TwoTensorsForALoaderThatNeedsValues_NamesTheSecond()
    {
        await using var checkpoint = await Sample.Make(4, ("t", DType.U8, [6]), ("t2", DType.U8, [6])).OpenAsync();
        using var module = new Module();
        module.Register("t", new Parameter(DType.U8, new Shape(6), (parameter, weight, _) => parameter.Data.CopyFrom(weight.Materialize())));
        var exception = Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { Rename = _ => "t" }));
        Assert.Equal(["parameter 't' is filled twice, the second time by tensor 't2'"], exception.Problems.ToArray());
    }

    [Fact]
    public async Task Plan_BlocksThatWouldBeTransposedAsTheyAre_AreRefused()
    {
        var sample = new GgufSample();
        sample.Builder.Add("general.architecture", "llama").Add("llama.block_count", 1u).Add("llama.attention.head_count", 1u);
        sample.Add("token_embd.weight", 8, 64, 32);
        await using var checkpoint = await sample.OpenAsync();
        using var module = new Module();
        module.Register("model", new Module()).Register("embed_tokens", new Module()).Register(
            "weight", new Parameter(DType.Q8_0, new Shape(32, 64), (parameter, weight, _) => weight.Transpose(0, 1).CopyTo(parameter.Data)));
        Assert.Contains("decode them", Assert.Throws<UnsupportedCheckpointException>(() => new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { IsStrict = false })).Message, StringComparison.Ordinal);
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
        using var module = Packed(Whole, DType.F16);
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
        using var module = Packed(Whole, DType.F16);
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
            var layout = new LinearLayout(4, Whole.Parts, new TensorParallel(2, rank));
            using var lazily = Packed(layout, DType.F32);
            var filled = await new ModuleLoader().LoadAsync(lazily, CheckpointWeights.Of(checkpoint).ToAsyncEnumerable());
            Assert.All(filled, parameter => Assert.True(parameter.IsFilled));
            Assert.Equal(4 * 4 * 4, source.BytesRead - opened);
            using var eagerly = Packed(layout, DType.F32);
            await new ModuleLoader().LoadAsync(eagerly, Loaded(sample).ToAsyncEnumerable());
            using var planned = Packed(layout, DType.F32);
            await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(planned, checkpoint));
            var expected = planned.Parameters["weight"].Data.AsSpan<byte>().ToArray();
            Assert.Equal(expected, lazily.Parameters["weight"].Data.AsSpan<byte>().ToArray());
            Assert.Equal(expected, eagerly.Parameters["weight"].Data.AsSpan<byte>().ToArray());
        }
    }

    [Fact]
    public async Task Load_WeightsOneByOne_MissesAndLeftoversAreErrorsAtTheEnd()
    {
        var device = new HostDevice();
        var sample = Sample.Make(6, ("a", DType.F32, [6, 4]), ("stranger", DType.F32, [2, 4]));
        using var module = Packed(Whole, DType.F32);
        var options = new ModuleLoadOptions { Load = new LoadOptions { Device = device } };
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => new ModuleLoader().LoadAsync(module, Loaded(sample, new Shape(6, 4)).ToAsyncEnumerable(), options));
        Assert.Equal(2, exception.Problems.Length);
        Assert.Equal(0, device.LiveAllocations);
        Assert.True(module.Parameters["weight"].IsMeta);
    }

    [Fact]
    public async Task Plan_OptionsOfOtherLoads_AreRefused()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [6, 4])).OpenAsync();
        using var module = Packed(Whole, DType.F32);
        foreach (var load in (LoadOptions[])[new() { DType = DType.F16 }, new() { TensorParallel = new TensorParallel(2, 0) }, new() { Device = MetaDevice.Shared }])
        {
            Assert.Throws<ArgumentException>(() => new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { Load = load }));
        }
    }

    private static IEnumerable<Weight> Loaded(Sample sample, Shape? shape = null) =>
        sample.Tensors.Select(tensor => new Weight(
            tensor.Key, Tensor.FromValues<byte>(DType.F32, tensor.Key == "a" ? shape ?? new Shape(6, 4) : new Shape(2, 4), tensor.Value)));

    private static PackedModule Packed(LinearLayout layout, DType dtype)
    {
        var module = new PackedModule();
        module.Register("weight", new Parameter(dtype, new Shape(layout.OutputSizePerRank, layout.InputSizePerRank), WeightLoaders.Linear(layout, ParameterAxes.Weight)));
        return module;
    }

    private sealed class PackedModule : Module
    {
        public override WeightRoute Route(string name) => name is "a" or "b" ? WeightRoute.To(Parameters["weight"], new ShardId(name)) : base.Route(name);
    }

    private sealed class Twins : Module
    {
        public Twins(params IEnumerable<(string Name, DType DType)> parameters)
        {
            foreach (var (name, dtype) in parameters)
            {
                Register(name, new Parameter(dtype, new Shape(300, 40)));
            }
        }

        public override WeightRoute Route(string name) => WeightRoute.To([.. Parameters.Values.Select(parameter => new WeightTarget(parameter))]);
    }
}
