using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>How many elements a call of a weight loader would write.</summary>
[Trait("Area", "Reload")]
public sealed class ElementsLoadedTests
{
    [Fact]
    public void A_loader_counts_what_it_copies_of_this_rank()
    {
        var layout = LinearLayout.ForAttention(16, 4, 2, 8, new TensorParallel(2, 1));
        using var parameter = new Parameter(DType.BF16, new Shape(layout.OutputSizePerRank, 16), WeightLoaders.Linear(layout, ParameterAxes.Weight));
        using var query = Meta(32, 16);
        using var key = Meta(16, 16);
        // Half of the four and of the two heads of 8 features.
        Assert.Equal(new ElementsLoaded(2 * 8 * 16, true), MetaTensors.GetNumelLoaded(parameter.Loader, parameter, query, new ShardId("q")));
        Assert.Equal(new ElementsLoaded(8 * 16, true), MetaTensors.GetNumelLoaded(parameter.Loader, parameter, key, new ShardId("v")));
        Assert.True(parameter.IsMeta);
    }

    [Fact]
    public void Fills_count_and_so_do_all_meta_tensors()
    {
        // 100 rows of 128: the second of two ranks has 36, and 28 that are 0.
        using var padded = new Parameter(DType.F32, new Shape(64, 4), WeightLoaders.PaddedVocabulary(100, new TensorParallel(2, 1)));
        using var rows = Meta(100, 4);
        Assert.Equal(new ElementsLoaded(64 * 4, true), MetaTensors.GetNumelLoaded(padded.Loader, padded, rows));

        using var beside = new Parameter(DType.F32, new Shape(3));
        using var parameter = new Parameter(DType.F32, new Shape(3));
        using var three = Meta(3);
        var loaded = MetaTensors.GetNumelLoaded(
            (target, weight, _) =>
            {
                weight.CopyTo(target.Data);
                weight.CopyTo(beside.Data);
            },
            parameter,
            three);
        Assert.Equal(6, loaded.Count);
    }

    [Fact]
    public void Nothing_is_counted_of_what_goes_into_storage_or_is_not_written()
    {
        var placement = ExpertPlacement.Contiguous(4, 2, 0);
        var layout = LinearLayout.ForDown(8, 8, id: "w2");
        using var parameter = new Parameter(DType.F32, new Shape(2, 8, 8), WeightLoaders.Experts(placement, layout, ParameterAxes.Weight));
        using var expert = Meta(8, 8);
        Assert.Equal(64, MetaTensors.GetNumelLoaded(parameter.Loader, parameter, expert, new ShardId("w2", 1)).Count);
        Assert.Equal(new ElementsLoaded(0, true), MetaTensors.GetNumelLoaded(parameter.Loader, parameter, expert, new ShardId("w2", 3)));
        using var values = Tensor.FromValues<float>(DType.F32, new Shape(2), [1, 2]);
        using var place = Tensor.Empty(DType.F32, new Shape(2));
        var (loaded, _) = MetaTensors.GetNumelLoaded(parameter, _ =>
        {
            place.CopyFrom(values);
            return 0;
        });
        Assert.Equal(new ElementsLoaded(0, true), loaded);
    }

    [Fact]
    public void What_the_call_returns_is_returned()
    {
        using var parameter = new Parameter(DType.F32, new Shape(4));
        using var weight = Meta(4);
        var (loaded, result) = MetaTensors.GetNumelLoaded(parameter, target =>
        {
            target.Load(weight);
            return "taken";
        });
        Assert.Equal((new ElementsLoaded(4, true), "taken"), (loaded, result));
    }

    [Fact]
    public void Copies_whose_sides_have_other_numbers_of_elements_are_an_error()
    {
        using var parameter = new Parameter(DType.F32, new Shape(4, 2));
        using var one = Meta(1);
        var exception = Assert.Throws<ArgumentException>(() => MetaTensors.GetNumelLoaded((target, weight, _) => weight.CopyTo(target.Data), parameter, one));
        Assert.Contains("[1]", exception.Message, StringComparison.Ordinal);
        // The recorder has ended.
        using var outer = new MetaRecorder();
        parameter.Data.Fill(0);
        Assert.Equal(8, outer.ElementCount);
    }

    [Fact]
    public void One_element_goes_into_one_element_of_another_rank()
    {
        using var parameter = new Parameter(DType.F32, new Shape(1));
        using var scalar = Meta();
        Assert.Equal(new ElementsLoaded(1, true), MetaTensors.GetNumelLoaded(parameter.Loader, parameter, scalar));
    }

    [Fact]
    public void A_parameter_with_storage_is_refused()
    {
        using var parameter = new Parameter(Tensor.Empty(DType.F32, new Shape(4)));
        using var weight = Meta(4);
        var exception = Assert.Throws<ArgumentException>(() => MetaTensors.GetNumelLoaded(parameter.Loader, parameter, weight));
        Assert.Contains("meta device", exception.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => MetaTensors.GetNumelLoaded(parameter, _ => 1));
    }

    [Fact]
    public void A_loader_that_works_on_the_parameter_behind_its_copies_is_counted()
    {
        using var parameter = new Parameter(DType.F32, new Shape(4), WeightLoaders.Composed(WeightLoaders.Default, tensor => tensor));
        using var weight = Meta(4);
        Assert.Equal(new ElementsLoaded(4, true), MetaTensors.GetNumelLoaded(parameter.Loader, parameter, weight));
    }

    [Fact]
    public async Task Of_a_loader_that_looks_at_values_it_is_not_known()
    {
        await using var checkpoint = await Sample.Make(1, [("weight", DType.F32, [4])]).OpenAsync();
        using var weight = Weight.Lazy(checkpoint.Tensors[0]);
        using var parameter = new Parameter(DType.F32, new Shape(4));
        var loaded = MetaTensors.GetNumelLoaded(
            (target, lazy, _) =>
            {
                using var first = target.Data.Narrow(0, 0, 1);
                lazy.Narrow(0, 0, 1).CopyTo(first);
                using var others = target.Data.Narrow(0, 1, 3);
                others.CopyFrom(lazy.Narrow(0, 1, 3).Materialize());
            },
            parameter,
            weight);
        Assert.Equal(new ElementsLoaded(1, false), loaded);
        var (_, result) = MetaTensors.GetNumelLoaded(parameter, _ => weight.Materialize().Shape.ToString());
        Assert.Null(result);
    }

    [Fact]
    public void What_the_loader_throws_is_thrown()
    {
        using var parameter = new Parameter(DType.F32, new Shape(4)) { Name = "p" };
        using var weight = Meta(5);
        Assert.Throws<ModelMismatchException>(() => MetaTensors.GetNumelLoaded(parameter.Loader, parameter, weight));
    }

    private static Weight Meta(params long[] shape) => new("weight", Tensor.Empty(DType.BF16, new Shape(shape), MetaDevice.Shared));
}
