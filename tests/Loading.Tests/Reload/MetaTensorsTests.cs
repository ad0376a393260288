using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Tensors and parameters with and without storage.</summary>
[Trait("Area", "Reload")]
public sealed class MetaTensorsTests
{
    public static TheoryData<string, long[], long[]?, long> Layouts => new()
    {
        // dtype, shape, strides, and the bytes from the first element to the last, counted by hand.
        { "F32", [3, 5], null, 60 },
        { "BF16", [], null, 2 },
        { "F32", [0, 5], null, 0 },
        { "F32", [3, 5], [1, 3], 60 },
        { "F16", [2, 3], [10, 2], 30 },
        { "U8", [4, 1], [7, 1000], 22 },
        { "F32", [4, 3], [0, 1], 12 },
        { "Q8_0", [2, 64], null, 136 },
        { "Q8_0", [2, 64], [5, 1], 238 },
        { "F4", [3, 4], [8, 1], 10 },
    };

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Dtype_shape_and_strides_stay_and_storage_is_from_the_first_to_the_last_element(string dtype, long[] shape, long[]? strides, long bytes)
    {
        var host = new HostDevice();
        Assert.True(DType.TryFromName(dtype, out var type));
        var laid = strides is null ? default : strides.ToImmutableArray();
        using (var tensor = Tensor.EmptyStrided(type, new Shape(shape), laid, host))
        {
            using var meta = MetaTensors.ToMeta(tensor);
            Assert.Equal((DeviceKind.Meta, type, new Shape(shape), bytes), (meta.Device.Kind, meta.DType, meta.Shape, meta.Memory.Length));
            Assert.Equal(tensor.Strides, meta.Strides);
            using var again = MetaTensors.Materialize(meta, host);
            Assert.Equal((host, type, new Shape(shape), bytes), (again.Device, again.DType, again.Shape, again.Memory.Length));
            Assert.Equal(tensor.Strides, again.Strides);
            Assert.Equal(0, again.ByteOffset);
            Assert.NotSame(tensor.Memory, again.Memory);
        }

        Assert.Equal(0, host.LiveAllocations);
    }

    [Fact]
    public void A_view_is_without_what_lies_before_and_behind_it()
    {
        using var all = Tensor.Empty(DType.F32, new Shape(10, 8));
        using var rows = all.Narrow(0, 4, 3);
        using var view = rows.Narrow(1, 2, 2);
        using var meta = MetaTensors.ToMeta(view);
        Assert.Equal<long>([8, 1], meta.Strides);
        Assert.Equal((0, ((2 * 8) + 2) * 4), (meta.ByteOffset, meta.Memory.Length));
    }

    [Fact]
    public void Storage_is_made_on_the_current_device()
    {
        var rank = new HostDevice();
        using var meta = Tensor.Empty(DType.F32, new Shape(2), MetaDevice.Shared);
        using (CurrentDevice.Use(rank))
        {
            using var tensor = MetaTensors.Materialize(meta);
            Assert.Same(rank, tensor.Device);
        }

        using var elsewhere = MetaTensors.Materialize(meta);
        Assert.Same(HostDevice.Shared, elsewhere.Device);
        Assert.Equal(0, rank.LiveAllocations);
    }

    [Fact]
    public void What_has_storage_is_not_given_any_and_the_meta_device_gives_none()
    {
        using var tensor = Tensor.Empty(DType.F32, new Shape(2));
        using var meta = MetaTensors.ToMeta(tensor);
        Assert.Throws<ArgumentException>(() => MetaTensors.Materialize(tensor));
        Assert.Throws<ArgumentException>(() => MetaTensors.Materialize(meta, MetaDevice.Shared));
        tensor.Dispose();
        Assert.Throws<ObjectDisposedException>(() => MetaTensors.ToMeta(tensor));
    }

    [Fact]
    public void A_parameter_keeps_its_class_its_loader_and_a_copy_of_its_attributes()
    {
        var host = new HostDevice();
        WeightLoader loader = (_, _, _) => { };
        using var parameter = new TaggedParameter(Tensor.Empty(DType.F16, new Shape(4, 2), host), loader)
        {
            Name = "model.weight",
            IsRequired = false,
            Conversion = ParameterConversion.FromFloats,
            WholeShape = new Shape(8, 2),
            Tag = "kept",
        };
        parameter.Attributes["output_dim"] = 0;
        using var meta = Assert.IsType<TaggedParameter>(MetaTensors.ToMeta(parameter));
        using var real = Assert.IsType<TaggedParameter>(MetaTensors.Materialize(meta, host));
        foreach (var copy in (TaggedParameter[])[meta, real])
        {
            Assert.Equal(
                (DType.F16, new Shape(4, 2), "model.weight", false, ParameterConversion.FromFloats, new Shape(8, 2), "kept"),
                (copy.DType, copy.Shape, copy.Name, copy.IsRequired, copy.Conversion, copy.WholeShape, copy.Tag));
            Assert.Same(loader, copy.Loader);
            Assert.Equal([KeyValuePair.Create<string, object?>("output_dim", 0)], copy.Attributes);
            copy.Attributes["input_dim"] = 1;
            copy.Loader = WeightLoaders.Default;
        }

        Assert.True(meta.IsMeta);
        Assert.Same(host, real.Data.Device);
        // What a copy is given afterwards is its own.
        Assert.Equal(["output_dim"], parameter.Attributes.Keys);
        Assert.Same(loader, parameter.Loader);
        Assert.False(parameter.Data.IsDisposed);
        real.Dispose();
        Assert.Equal(1, host.LiveAllocations);
    }

    private sealed class TaggedParameter(Tensor data, WeightLoader loader) : Parameter(data, loader)
    {
        public string Tag { get; init; } = "";
    }
}
