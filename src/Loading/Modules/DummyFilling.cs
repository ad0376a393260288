using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Gives tensors the values of a seed, each by its element's index in the whole.</summary>
/// <param name="seed">The seed.</param>
/// <param name="low">The least value.</param>
/// <param name="high">The bound above.</param>
internal sealed class DummyFilling(ulong seed, float low, float high)
{
    // Elements of a temporary: enough that a launch on a device is worth it.
    private const long PartElements = 1L << 20;

    /// <summary>Fills a parameter with its share of the whole.</summary>
    /// <param name="name">Its full name.</param>
    /// <param name="parameter">The parameter.</param>
    public void Fill(string name, Parameter parameter)
    {
        var whole = parameter.WholeShape;
        if (parameter.Sharing is null && whole == parameter.Shape)
        {
            Fill(parameter.Data, 0);
            return;
        }

        foreach (var write in Record(name, parameter, whole))
        {
            var (_, dtype, shape, strides, offset) = write.Destination;
            using var place = new Tensor(parameter.Data.Memory, dtype, shape, strides, offset);
            if (write.Source is { } source)
            {
                Fill(place, source.ByteOffset / source.DType.BlockSize, source.Strides);
            }
            else
            {
                place.Fill(write.Element.Span);
            }
        }
    }

    /// <summary>Fills a tensor with elements that lie side by side in the whole.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="firstElement">The index of its first element.</param>
    public void Fill(Tensor tensor, long firstElement) => Fill(tensor, firstElement, tensor.Shape.RowMajorStrides());

    // What the loader would copy from where: run with the same shapes and strides, where nothing is stored.
    private static IReadOnlyList<RecordedWrite> Record(string name, Parameter parameter, Shape whole)
    {
        using var memory = MetaDevice.Shared.Allocate(parameter.Data.Memory.Length);
        var data = parameter.Data;
        using var twin = new Parameter(new Tensor(memory, data.DType, data.Shape, data.Strides, data.ByteOffset)) { Name = name };
        foreach (var (key, value) in parameter.Attributes)
        {
            twin.Attributes.Add(key, value);
        }

        using var weight = new Weight(name, Tensor.Empty(DType.F32, whole, MetaDevice.Shared));
        using var recorder = new MetaRecorder();
        try
        {
            if (parameter.Sharing is { } sharing)
            {
                sharing.Load(twin, weight, ShardId.None);
            }
            else
            {
                parameter.Loader(twin, weight, ShardId.None);
            }
        }
        catch (ValuesRequiredException exception)
        {
            throw new InvalidOperationException(
                $"The loader of {Quoted.Name(name)} asks for values, so that its share of the whole of shape {whole} is not known; "
                + $"leave {nameof(Parameter.WholeShape)} as it is.",
                exception);
        }

        return recorder.ElementCount == parameter.Shape.ElementCount
            ? recorder.Writes
            : throw new InvalidOperationException(
                $"The loader of {Quoted.Name(name)} fills {recorder.ElementCount} of {parameter.Shape.ElementCount} elements from a weight of shape {whole}.");
    }

    private void Fill(Tensor place, long firstElement, ImmutableArray<long> strides)
    {
        var isNarrow = place.DType.BlockSize == 1;
        var isDense = new StridedView(place.Memory, place.DType, place.Shape, strides, 0).IsContiguous;
        if (isDense && place.IsContiguous && !isNarrow)
        {
            Generate(place, firstElement);
            return;
        }

        if (place.ElementCount == 0)
        {
            return;
        }

        var extent = checked(StridedView.LastElementOf(place.DType, place.Shape, strides) + 1);
        if (extent > PartElements)
        {
            // In halves of the dimension that goes furthest in the whole, until what lies between the elements is little.
            var longest = Enumerable.Range(0, place.Shape.Rank).MaxBy(i => (place.Shape[i] - 1) * strides[i]);
            var half = place.Shape[longest] / 2;
            using var first = place.Narrow(longest, 0, half);
            using var second = place.Narrow(longest, half, place.Shape[longest] - half);
            Fill(first, firstElement, strides);
            Fill(second, checked(firstElement + (half * strides[longest])), strides);
            return;
        }

        using var values = Tensor.Empty(isNarrow ? DType.F16 : place.DType, new Shape(extent), place.Device);
        Generate(values, firstElement);
        using var share = new Tensor(values.Memory, values.DType, place.Shape, strides);
        place.CopyFrom(share);
    }

    private void Generate(Tensor contiguous, long firstElement)
    {
        if (contiguous.IsReadOnly)
        {
            throw new InvalidOperationException($"{contiguous} can only be read.");
        }

        if (contiguous.ElementCount == 0)
        {
            return;
        }

        using var stream = contiguous.Device.CreateStream();
        stream.FillUniform(contiguous.Memory, contiguous.ByteOffset, contiguous.DType, firstElement, contiguous.ElementCount, seed, low, high);
        stream.Synchronize();
    }
}
