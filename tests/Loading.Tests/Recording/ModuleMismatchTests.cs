using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What does not fit between a checkpoint and a model, each with its names.</summary>
public sealed class ModuleMismatchTests
{
    [Fact]
    public async Task Plan_NothingFillsAParameterAndNothingTakesATensor_NamesBothWithTheirShapes()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [6, 4]), ("stranger", DType.U8, [3])).OpenAsync();
        using var module = ModuleSample.Packed(ModuleSample.Whole, DType.F32);
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
    public async Task Plan_TwoTensorsForOnePlace_NamesParameterAndBoth()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [6, 4]), ("a2", DType.F32, [6, 4]), ("b", DType.F32, [2, 4])).OpenAsync();
        using var module = ModuleSample.Packed(ModuleSample.Whole, DType.F32);
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
        using var module = new ModuleSample.PackedModule();
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
        using var module = ModuleSample.Packed(ModuleSample.Whole, DType.F32);
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
        using var module = ModuleSample.Packed(ModuleSample.Whole, DType.I64);
        var exception = Assert.Throws<ModelMismatchException>(() => new ModuleLoader().Plan(module, checkpoint));
        Assert.Equal(["tensor 'a' is F32 and parameter 'weight' I64, to which there is no conversion"], exception.Problems.ToArray());
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
    public async Task Plan_AnOptionalParameterFilledInPart_IsAnError()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [6, 4])).OpenAsync();
        using var module = new ModuleSample.PackedModule();
        module.Register("weight", new Parameter(DType.F32, new Shape(8, 4), WeightLoaders.Linear(ModuleSample.Whole, ParameterAxes.Weight)) { IsRequired = false });
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
        using var module = ModuleSample.Packed(ModuleSample.Whole, DType.F32);
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(
            () => new ModuleLoader().LoadAsync(module, ModuleSample.Loaded(sample).Concat(ModuleSample.Loaded(sample)).ToAsyncEnumerable(), new ModuleLoadOptions { IsStrict = false }));
        Assert.Equal(["parameter 'weight' is filled twice, by tensor 'a' and by tensor 'a'"], exception.Problems.ToArray());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Load_ComposedOnOnePartOfAPackedParameter_IsNotFilledByIt(bool oneByOne)
    {
        var sample = Sample.Make(6, ("a", DType.F32, [6, 4]));
        await using var checkpoint = await sample.OpenAsync();
        using var module = new ModuleSample.PackedModule();
        var loader = WeightLoaders.Composed(WeightLoaders.Linear(ModuleSample.Whole, ParameterAxes.Weight), tensor => tensor.To(DType.F32));
        module.Register("weight", new Parameter(DType.F32, new Shape(8, 4), loader));
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => oneByOne
            ? new ModuleLoader().LoadAsync(module, ModuleSample.Loaded(sample).ToAsyncEnumerable())
            : Task.FromResult(new ModuleLoader().Plan(module, checkpoint)));
        Assert.Equal(["only 24 of the 32 elements of parameter 'weight' of shape [8, 4] are filled, by 'a'"], exception.Problems.ToArray());
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

    [Fact]
    public async Task Load_WeightsOneByOne_MissesAndLeftoversAreErrorsAtTheEnd()
    {
        var device = new HostDevice();
        var sample = Sample.Make(6, ("a", DType.F32, [6, 4]), ("stranger", DType.F32, [2, 4]));
        using var module = ModuleSample.Packed(ModuleSample.Whole, DType.F32);
        var options = new ModuleLoadOptions { Load = new LoadOptions { Device = device } };
        var exception = await Assert.ThrowsAsync<ModelMismatchException>(() => new ModuleLoader().LoadAsync(module, ModuleSample.Loaded(sample, new Shape(6, 4)).ToAsyncEnumerable(), options));
        Assert.Equal(2, exception.Problems.Length);
        Assert.Equal(0, device.LiveAllocations);
        Assert.True(module.Parameters["weight"].IsMeta);
    }

    [Fact]
    public async Task Plan_OptionsOfOtherLoads_AreRefused()
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [6, 4])).OpenAsync();
        using var module = ModuleSample.Packed(ModuleSample.Whole, DType.F32);
        foreach (var load in (LoadOptions[])[new() { DType = DType.F16 }, new() { TensorParallel = new TensorParallel(2, 0) }, new() { Device = MetaDevice.Shared }])
        {
            Assert.Throws<ArgumentException>(() => new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { Load = load }));
        }
    }
}
