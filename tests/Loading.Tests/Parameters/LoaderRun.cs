using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// Runs loaders as a load does: first recorded, without storage and with weights that are not read yet, then on values. Each element of a
/// weight is its row-major index, and 100000 times the weight's number more.
/// </summary>
internal static class LoaderRun
{
    public const float PerWeight = 100_000;

    /// <summary>A weight of values.</summary>
    public static Weight Stored(string name, Shape shape, int number = 0)
    {
        var tensor = Tensor.Empty(DType.F32, shape);
        var values = tensor.AsSpan<float>();
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (number * PerWeight) + i;
        }

        return new Weight(name, tensor);
    }

    /// <summary>A weight that nothing could read: there is no file.</summary>
    public static Weight Lazy(string name, Shape shape) =>
        Weight.Lazy(new TensorInfo(name, DType.F32, shape, null!, 0, DType.F32.ByteCount(shape.ElementCount)));

    /// <summary>A parameter without storage.</summary>
    public static Parameter Make(WeightLoader loader, params long[] shape) => new(DType.F32, new Shape(shape), loader) { Name = "p.weight" };

    /// <summary>What a parameter becomes; NaN where nothing was written.</summary>
    /// <remarks>Holds what is recorded against it: as many elements, from the same places to the same places.</remarks>
    public static float[] Load(WeightLoader loader, Shape shape, params (Shape Shape, ShardId Shard)[] weights)
    {
        using var parameter = Make(loader, shape.Dimensions.ToArray());
        var recorded = Replay(parameter, weights, out var count);
        parameter.SetData(Empty(shape));
        for (var i = 0; i < weights.Length; i++)
        {
            using var weight = Stored("w", weights[i].Shape, i);
            parameter.Load(weight, weights[i].Shard);
        }

        var values = parameter.Data.AsSpan<float>().ToArray();
        Assert.Equal(values, recorded);
        Assert.Equal(values.Count(value => !float.IsNaN(value)), count);
        return values;
    }

    /// <inheritdoc cref="Load(WeightLoader, Shape, ValueTuple{Shape, ShardId}[])"/>
    public static float[] Load(WeightLoader loader, Shape shape, Shape weight, ShardId shard = default) => Load(loader, shape, (weight, shard));

    /// <summary>The refusal of a weight: the same recorded and on values.</summary>
    public static string Refused(WeightLoader loader, Shape shape, Shape weight, ShardId shard = default)
    {
        using var parameter = Make(loader, shape.Dimensions.ToArray());
        using var lazy = Lazy("w", weight);
        string recorded;
        using (var recorder = new MetaRecorder())
        {
            recorded = Assert.Throws<ModelMismatchException>(() => parameter.Load(lazy, shard)).Message;
        }

        parameter.SetData(Empty(shape));
        using var stored = Stored("w", weight);
        var exception = Assert.Throws<ModelMismatchException>(() => parameter.Load(stored, shard));
        Assert.Equal(recorded, exception.Message);
        Assert.Equal(CheckpointErrorCode.ModelMismatch, exception.Code);
        Assert.Contains($"tensor 'w' of shape {weight}", recorded, StringComparison.Ordinal);
        Assert.Contains($"parameter 'p.weight' of shape {shape}", recorded, StringComparison.Ordinal);
        return recorded;
    }

    /// <summary>Parts of one shape, one behind the other along a dimension.</summary>
    public static float[] Concatenate(IReadOnlyList<float[]> parts, Shape part, int dimension)
    {
        var inner = 1;
        for (var i = dimension; i < part.Rank; i++)
        {
            inner *= (int)part[i];
        }

        var outer = inner == 0 ? 0 : parts[0].Length / inner;
        return [.. Enumerable.Range(0, outer).SelectMany(row => parts.SelectMany(values => values.Skip(row * inner).Take(inner)))];
    }

    /// <summary>The values of a weight of some number of elements.</summary>
    public static float[] Counting(long count, int number = 0) => [.. Enumerable.Range(0, (int)count).Select(i => (number * PerWeight) + i)];

    private static Tensor Empty(Shape shape)
    {
        var tensor = Tensor.Empty(DType.F32, shape);
        tensor.AsSpan<float>().Fill(float.NaN);
        return tensor;
    }

    // Does what was written down, element by element.
    private static float[] Replay(Parameter parameter, (Shape Shape, ShardId Shard)[] weights, out long count)
    {
        var values = new float[parameter.Shape.ElementCount];
        Array.Fill(values, float.NaN);
        count = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            using var weight = Lazy("w", weights[i].Shape);
            using var recorder = new MetaRecorder();
            parameter.Load(weight, weights[i].Shard);
            count += recorder.ElementCount;
            foreach (var write in recorder.Writes)
            {
                Assert.Same(parameter.Data.Memory, write.Destination.Memory);
                var to = Places(write.Destination).ToArray();
                var from = write.Source is { } source ? Places(source).Select(place => (i * PerWeight) + place) : to.Select(_ => BitConverter.ToSingle(write.Element.Span));
                foreach (var (place, value) in to.Zip(from))
                {
                    values[place] = value;
                }
            }
        }

        return values;
    }

    private static IEnumerable<long> Places(StridedView view)
    {
        IEnumerable<long> places = [view.ByteOffset / sizeof(float)];
        for (var i = 0; i < view.Shape.Rank; i++)
        {
            var (size, stride) = ((int)view.Shape[i], view.Strides[i]);
            places = places.SelectMany(place => Enumerable.Range(0, size).Select(index => place + (index * stride)));
        }

        return places;
    }
}
