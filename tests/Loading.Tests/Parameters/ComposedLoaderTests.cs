using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ComposedLoaderTests
{
    [Fact]
    public void Composed_applies_the_function_to_the_parameter_and_not_to_the_weight()
    {
        var seen = new List<(Shape Shape, float[] Values)>();
        var device = new HostDevice();
        var loader = WeightLoaders.Composed(
            WeightLoaders.Sharded(0, new TensorParallel(2, 1)),
            tensor =>
            {
                seen.Add((tensor.Shape, tensor.AsSpan<float>().ToArray()));
                var result = Tensor.Empty(DType.F32, tensor.Shape, device);
                for (var i = 0; i < tensor.ElementCount; i++)
                {
                    result.AsSpan<float>()[i] = -tensor.AsSpan<float>()[i];
                }

                return result;
            });
        using var parameter = new Parameter(Tensor.Empty(DType.F32, new Shape(2)), loader);
        using var weight = LoaderRun.Stored("w", new Shape(4));
        var data = parameter.Data;
        parameter.Load(weight);
        var (shape, values) = Assert.Single(seen);
        Assert.Equal(new Shape(2), shape);
        Assert.Equal([2f, 3f], values);
        Assert.Equal([-2f, -3f], parameter.Data.AsSpan<float>().ToArray());
        Assert.Same(data, parameter.Data);
        Assert.False(data.IsDisposed);
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void Composed_converts_the_result_to_the_dtype_of_the_parameter()
    {
        var loader = WeightLoaders.Composed(WeightLoaders.Default, tensor => tensor.To(DType.F32));
        using var parameter = new Parameter(Tensor.Empty(DType.F16, new Shape(2)), loader);
        using var weight = new Weight("w", Tensor.FromValues<float>(DType.F32, new Shape(2), [1, 2]));
        parameter.Load(weight);
        Assert.Equal([(Half)1, (Half)2], parameter.Data.AsSpan<Half>().ToArray());
    }

    [Fact]
    public void Composed_takes_what_was_changed_in_place()
    {
        var loader = WeightLoaders.Composed(
            WeightLoaders.Default,
            tensor =>
            {
                tensor.AsSpan<float>().Reverse();
                return tensor;
            });
        Assert.Equal([2f, 1f, 0f], Loaded(loader, 3));
    }

    [Fact]
    public void Composed_takes_a_view_of_the_parameter()
    {
        var loader = WeightLoaders.Composed(WeightLoaders.Default, tensor => tensor.Transpose(0, 1));
        Assert.Equal([0f, 3, 6, 1, 4, 7, 2, 5, 8], Loaded(loader, 3, 3));
    }

    // Without values there is nothing to apply it to, and nothing may be recorded that runs again.
    [Fact]
    public void Composed_copies_and_then_asks_for_values()
    {
        using var parameter = LoaderRun.Make(WeightLoaders.Composed(WeightLoaders.Default, _ => throw new InvalidOperationException("not yet")), 2);
        using var weight = LoaderRun.Lazy("w", new Shape(2));
        using var recorder = new MetaRecorder();
        Assert.Null(Assert.Throws<ValuesRequiredException>(() => parameter.Load(weight)).Weight);
        Assert.Equal(2, recorder.ElementCount);
    }

    [Fact]
    public void Composed_hands_a_refusal_on_and_does_not_run_the_function()
    {
        using var parameter = new Parameter(
            Tensor.Empty(DType.F32, new Shape(2)), WeightLoaders.Composed(WeightLoaders.Default, _ => throw new InvalidOperationException("must not run")));
        using var weight = LoaderRun.Stored("w", new Shape(3));
        Assert.Throws<ModelMismatchException>(() => parameter.Load(weight));
    }

    [Fact]
    public void Composed_refuses_a_result_of_another_shape_and_disposes_it()
    {
        var device = new HostDevice();
        var loader = WeightLoaders.Composed(WeightLoaders.Default, _ => Tensor.Empty(DType.F32, new Shape(1, 2), device));
        using var parameter = new Parameter(Tensor.Empty(DType.F32, new Shape(2)), loader) { Name = "a.A" };
        using var weight = LoaderRun.Stored("w", new Shape(2));
        var message = Assert.Throws<InvalidOperationException>(() => parameter.Load(weight)).Message;
        Assert.Contains("a.A F32 [2]", message, StringComparison.Ordinal);
        Assert.Contains("F32 [1, 2]", message, StringComparison.Ordinal);
        Assert.Equal(0, device.LiveAllocations);
        parameter.Loader = WeightLoaders.Composed(WeightLoaders.Default, _ => null!);
        Assert.Contains("no tensor", Assert.Throws<InvalidOperationException>(() => parameter.Load(weight)).Message, StringComparison.Ordinal);
    }

    private static float[] Loaded(WeightLoader loader, params long[] shape)
    {
        using var parameter = new Parameter(Tensor.Empty(DType.F32, new Shape(shape)), loader);
        using var weight = LoaderRun.Stored("w", new Shape(shape));
        parameter.Load(weight);
        return parameter.Data.AsSpan<float>().ToArray();
    }
}
