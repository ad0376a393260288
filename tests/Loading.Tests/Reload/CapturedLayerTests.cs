using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Layers that are captured without storage, restored and given storage.</summary>
[Trait("Area", "Reload")]
public sealed class CapturedLayerTests
{
    [Fact]
    public void A_layers_own_tensors_are_captured_in_their_order_and_it_stays_as_it_is()
    {
        var device = new HostDevice();
        using var layer = Layer(device);
        layer.Register("below", new Module()).Register("weight", new Parameter(DType.F32, new Shape(1)));
        var (weight, data, mean) = (layer.Parameters["weight"], layer.Parameters["weight"].Data, layer.Buffers["mean"]);
        using var captured = MetaTensors.CaptureLayerToMeta(layer);
        Assert.Equal(["weight", "bias"], captured.Parameters.Keys);
        Assert.Equal(["mean", "count"], captured.Buffers.Keys);
        Assert.All(captured.Parameters.Values, parameter => Assert.True(parameter.IsMeta));
        Assert.All(captured.Buffers.Values, buffer => Assert.Equal(DeviceKind.Meta, buffer.Device.Kind));
        Assert.Equal((DType.BF16, new Shape(2, 3)), (captured.Parameters["weight"].DType, captured.Parameters["weight"].Shape));
        Assert.Equal<long>([1, 2], captured.Parameters["weight"].Data.Strides);
        Assert.Equal((weight, data, mean), (layer.Parameters["weight"], layer.Parameters["weight"].Data, layer.Buffers["mean"]));
        Assert.Equal(4, device.LiveAllocations);
    }

    [Fact]
    public void Restoring_drops_what_processing_has_added_and_brings_back_what_it_has_dropped()
    {
        var device = new HostDevice();
        using (var layer = Layer(device))
        {
            using var captured = MetaTensors.CaptureLayerToMeta(layer);
            for (var times = 0; times < 2; times++)
            {
                _ = layer.RemoveParameter("weight");
                _ = layer.RemoveBuffer("mean");
                layer.Register("weight_scale", new Parameter(Tensor.Empty(DType.F32, new Shape(1), device)));
                layer.Register("workspace", Tensor.Empty(DType.U8, new Shape(9), device));
                MetaTensors.RestoreLayerOnMeta(layer, captured).Dispose();
                Assert.Equal(["weight", "bias"], layer.Parameters.Keys);
                Assert.Equal(["mean", "count"], layer.Buffers.Keys);
                Assert.All(layer.Parameters.Values, parameter => Assert.True(parameter.IsMeta));
                Assert.All(layer.Buffers.Values, buffer => Assert.Equal(DeviceKind.Meta, buffer.Device.Kind));
                // Nothing of it lives on, and what was captured is not what is in the layer.
                Assert.Equal(0, device.LiveAllocations);
                Assert.NotSame(captured.Parameters["weight"], layer.Parameters["weight"]);
                Assert.NotSame(captured.Buffers["mean"], layer.Buffers["mean"]);
                MetaTensors.MaterializeLayer(layer, device);
                Assert.Equal<long>([1, 2], layer.Parameters["weight"].Data.Strides);
                Assert.Equal(4, device.LiveAllocations);
            }
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void Live_storage_lives_on_with_who_has_a_view_of_it()
    {
        using var layer = Layer(HostDevice.Shared);
        using var captured = MetaTensors.CaptureLayerToMeta(layer);
        layer.Parameters["bias"].Data.Fill(7);
        using var live = layer.Parameters["bias"].Data.On(HostDevice.Shared);
        MetaTensors.RestoreLayerOnMeta(layer, captured).Dispose();
        Assert.Equal([7, 7], live.AsReadOnlySpan<float>().ToArray());
    }

    [Theory]
    [InlineData("_expert_map")]
    [InlineData("expert_mask")]
    [InlineData("expert_global_to_physical")]
    [InlineData("expert_physical_to_global")]
    [InlineData("expert_local_to_global")]
    public void Tensors_that_are_skipped_are_neither_captured_nor_restored_nor_materialised(string name)
    {
        Assert.Contains(name, MetaTensors.SkipTensors.Items);
        using var layer = new Module();
        var map = layer.Register(name, Tensor.Empty(DType.I32, new Shape(4), MetaDevice.Shared));
        var weight = layer.Register("weight", new Parameter(Tensor.Empty(DType.F32, new Shape(2))));
        using var parameterLayer = new Module();
        var asParameter = parameterLayer.Register(name, new Parameter(DType.I32, new Shape(4)));
        using var captured = MetaTensors.CaptureLayerToMeta(layer);
        using var none = MetaTensors.CaptureLayerToMeta(parameterLayer);
        Assert.Equal(["weight"], captured.Parameters.Keys);
        Assert.Empty(captured.Buffers);
        Assert.Empty(none.Parameters);
        MetaTensors.RestoreLayerOnMeta(layer, captured).Dispose();
        MetaTensors.RestoreLayerOnMeta(parameterLayer, none).Dispose();
        MetaTensors.MaterializeLayer(layer);
        MetaTensors.MaterializeLayer(parameterLayer);
        Assert.NotSame(weight, layer.Parameters["weight"]);
        Assert.False(layer.Parameters["weight"].IsMeta);
        Assert.Same(map, layer.Buffers[name]);
        Assert.False(map.IsDisposed);
        Assert.Same(asParameter, parameterLayer.Parameters[name]);
        Assert.True(asParameter.IsMeta);
    }

    [Fact]
    public void Modules_that_are_skipped_stay_as_they_are()
    {
        Assert.Equal(["HadamardTransform"], MetaTensors.SkipModules);
        using var layer = new HadamardTransform();
        var weight = layer.Register("weight", new Parameter(DType.F32, new Shape(2)));
        using var captured = MetaTensors.CaptureLayerToMeta(layer);
        Assert.Empty(captured.Parameters);
        Assert.Empty(captured.Buffers);
        MetaTensors.RestoreLayerOnMeta(layer, captured).Dispose();
        Assert.Same(weight, layer.Parameters["weight"]);
        MetaTensors.MaterializeLayer(layer);
        Assert.True(weight.IsMeta);
    }

    [Fact]
    public void Only_what_has_no_storage_is_given_any_on_the_current_device()
    {
        var rank = new HostDevice();
        using var layer = new Module();
        var there = layer.Register("there", new Parameter(Tensor.FromValues<float>(DType.F32, new Shape(2), [1, 2])));
        var meta = layer.Register("meta", new Parameter(DType.F16, new Shape(2)));
        var optional = layer.Register("optional", new Parameter(DType.F16, new Shape(2)) { IsRequired = false });
        var kept = layer.Register("kept", Tensor.FromValues<float>(DType.F32, new Shape(1), [3]));
        layer.Register("buffer", Tensor.Empty(DType.U8, new Shape(3), MetaDevice.Shared));
        layer.Register("last", Tensor.FromValues<float>(DType.F32, new Shape(1), [4]));
        var below = layer.Register("below", new Module()).Register("weight", new Parameter(DType.F32, new Shape(1)));
        var data = there.Data;
        using (CurrentDevice.Use(rank))
        {
            MetaTensors.MaterializeLayer(layer, chosen: parameter => parameter.IsRequired);
        }

        Assert.Same(data, there.Data);
        Assert.Same(kept, layer.Buffers["kept"]);
        Assert.Same(meta, layer.Parameters["meta"]);
        Assert.Equal((rank, rank), (meta.Data.Device, layer.Buffers["buffer"].Device));
        Assert.Equal(["kept", "buffer", "last"], layer.Buffers.Keys);
        Assert.True(optional.IsMeta);
        Assert.True(below.IsMeta);
        MetaTensors.MaterializeLayer(layer, rank);
        Assert.Same(rank, optional.Data.Device);
    }

    [Fact]
    public void Where_the_device_is_full_nothing_has_changed()
    {
        using var layer = new Module();
        var first = layer.Register("first", new Parameter(DType.U8, new Shape(2)));
        var second = layer.Register("second", Tensor.Empty(DType.U8, new Shape(long.MaxValue / 2), MetaDevice.Shared));
        var device = new HostDevice();
        Assert.ThrowsAny<Exception>(() => MetaTensors.MaterializeLayer(layer, device));
        Assert.True(first.IsMeta);
        Assert.Same(second, layer.Buffers["second"]);
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void A_tensor_of_two_names_stays_one()
    {
        var device = new HostDevice();
        using var layer = new Module();
        var weight = new Parameter(Tensor.Empty(DType.F32, new Shape(2), device));
        var buffer = Tensor.Empty(DType.U8, new Shape(2), device);
        layer.Register("a", weight);
        layer.Register("b", weight);
        layer.Register("c", buffer);
        layer.Register("d", buffer);
        using var captured = MetaTensors.CaptureLayerToMeta(layer);
        MetaTensors.RestoreLayerOnMeta(layer, captured).Dispose();
        MetaTensors.MaterializeLayer(layer, device);
        Assert.Same(layer.Parameters["a"], layer.Parameters["b"]);
        Assert.Same(layer.Buffers["c"], layer.Buffers["d"]);
        Assert.Equal(2, device.LiveAllocations);
    }

    [Fact]
    public void A_tied_weight_and_a_shared_buffer_stay_with_the_other_module()
    {
        var device = new HostDevice();
        using (var model = new Module())
        {
            var (embedding, head) = (model.Register("embedding", new Module()), model.Register("head", new Module()));
            var tied = new Parameter(Tensor.FromValues<byte>(DType.U8, new Shape(3), [1, 2, 3], device));
            var mean = Tensor.FromValues<byte>(DType.U8, new Shape(2), [4, 5], device);
            var places = Tensor.Empty(DType.U8, new Shape(2), MetaDevice.Shared);
            foreach (var module in (Module[])[embedding, head])
            {
                module.Register("weight", tied);
                module.Register("mean", mean);
                module.Register("places", places);
            }

            using var captured = MetaTensors.CaptureLayerToMeta(head);
            MetaTensors.RestoreLayerOnMeta(head, captured).DisposeUnheld(model);
            Assert.True(head.Parameters["weight"].IsMeta);
            Assert.Same(tied, embedding.Parameters["weight"]);
            Assert.Equal([1, 2, 3], tied.Data.AsReadOnlySpan<byte>().ToArray());
            Assert.Equal([4, 5], embedding.Buffers["mean"].AsReadOnlySpan<byte>().ToArray());
            Assert.False(embedding.Buffers["places"].IsDisposed);
            Assert.Equal(2, device.LiveAllocations);

            MetaTensors.MaterializeLayer(embedding, device);
            Assert.Equal(DeviceKind.Host, embedding.Buffers["places"].Device.Kind);
            Assert.False(places.IsDisposed);

            // What nobody else holds is freed.
            using var rest = MetaTensors.CaptureLayerToMeta(embedding);
            var replaced = MetaTensors.RestoreLayerOnMeta(embedding, rest);
            Assert.Same(tied, replaced.Parameters["weight"]);
            Assert.Equal(["mean", "places"], replaced.Buffers.Keys);
            Assert.Equal(3, device.LiveAllocations);
            replaced.DisposeUnheld(model);
            Assert.Equal(0, device.LiveAllocations);
            replaced.Dispose();
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void What_refers_to_the_layer_is_bound_to_the_layer_that_is_restored()
    {
        using var captured = CaptureTalking(out _);
        using var other = new TalkingLayer("other");
        var shown = captured.Parameters["weight"];
        // Captured, it cannot be called.
        using var weight = new Weight("w", Tensor.Empty(DType.F32, new Shape(2), MetaDevice.Shared));
        var exception = Assert.Throws<InvalidOperationException>(() => shown.Load(weight));
        Assert.Contains("TakeWeight", exception.Message, StringComparison.Ordinal);
        for (var times = 0; times < 2; times++)
        {
            MetaTensors.RestoreLayerOnMeta(other, captured).Dispose();
            var parameter = other.Parameters["weight"];
            Assert.Same(other, parameter.Attributes["layer"]);
            Assert.Equal("other", ((Func<string>)parameter.Attributes["name"]!)());
            Assert.Equal("fixed", ((Func<string>)parameter.Attributes["free"]!)());
            Assert.Equal(5, parameter.Attributes["number"]);
            other.Heard.Clear();
            ((Action<string>)parameter.Attributes["both"]!)("x");
            Assert.Equal(["x", "x"], other.Heard);
            ((Action<string>)parameter.Attributes["extension"]!)("y");
            Assert.Equal(["x", "x", "static y"], other.Heard);
            other.Heard.Clear();
            parameter.Load(weight);
            ((WeightLoader)parameter.Attributes["loader"]!)(parameter, weight, default);
            other.Parameters["transposed"].Loader(parameter, Matrix(), default);
            Assert.Equal(["took [2]", "took [2]", "took [3, 2]"], other.Heard);
            other.Heard.Clear();
            using var values = new Parameter(Tensor.Empty(DType.F32, new Shape(2)));
            other.Parameters["composed"].Loader(values, weight, default);
            Assert.Equal(["took [2]", "changed"], other.Heard);
        }
    }

    [Fact]
    public void A_captured_layer_is_not_kept_alive()
    {
        using var captured = CaptureTalking(out var layer);
        for (var i = 0; i < 10 && layer.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(layer.IsAlive);
        Assert.Equal(["weight", "composed", "transposed"], captured.Parameters.Keys);
    }

    [Fact]
    public void The_layer_itself_keeps_what_refers_to_it()
    {
        using var layer = new TalkingLayer("one");
        var parameter = layer.Parameters["weight"];
        var loader = parameter.Loader;
        using var captured = MetaTensors.CaptureLayerToMeta(layer);
        Assert.Same(layer, parameter.Attributes["layer"]);
        Assert.Same(loader, parameter.Loader);
        Assert.NotSame(layer, captured.Parameters["weight"].Attributes["layer"]);
    }

    [Fact]
    public void Loaders_that_know_nothing_of_the_layer_stay_the_same()
    {
        var layout = LinearLayout.ForDown(4, 4);
        using var layer = new Module();
        var linear = layer.Register("linear", new Parameter(DType.F32, new Shape(4, 4), WeightLoaders.Linear(layout, ParameterAxes.Weight)));
        var composed = layer.Register("composed", new Parameter(DType.F32, new Shape(4), WeightLoaders.Composed(WeightLoaders.Transposed(WeightLoaders.Default), tensor => tensor)));
        var (first, second) = (linear.Loader, composed.Loader);
        using var captured = MetaTensors.CaptureLayerToMeta(layer);
        MetaTensors.RestoreLayerOnMeta(layer, captured).Dispose();
        Assert.Same(first, layer.Parameters["linear"].Loader);
        Assert.Same(second, layer.Parameters["composed"].Loader);
    }

    [Fact]
    public void A_layer_of_another_class_is_refused_and_stays_as_it_is()
    {
        using var captured = CaptureTalking(out _);
        using var layer = new Module();
        var weight = layer.Register("weight", new Parameter(DType.F32, new Shape(1)));
        var exception = Assert.Throws<ArgumentException>(() => MetaTensors.RestoreLayerOnMeta(layer, captured));
        Assert.Contains("TalkingLayer", exception.Message, StringComparison.Ordinal);
        Assert.Same(weight, Assert.Single(layer.Parameters).Value);

        using var parent = new Module();
        parent.Register("composed", new Module());
        exception = Assert.Throws<ArgumentException>(() => MetaTensors.RestoreLayerOnMeta(parent, captured));
        Assert.Contains("'composed'", exception.Message, StringComparison.Ordinal);
        captured.Dispose();
        Assert.Throws<ObjectDisposedException>(() => MetaTensors.RestoreLayerOnMeta(layer, captured));
        Assert.False(weight.Data.IsDisposed);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static CapturedLayer CaptureTalking(out WeakReference layer)
    {
        var talking = new TalkingLayer("first");
        layer = new WeakReference(talking);
        var captured = MetaTensors.CaptureLayerToMeta(talking);
        talking.Dispose();
        return captured;
    }

    private static Weight Matrix() => new("m", Tensor.Empty(DType.F32, new Shape(2, 3), MetaDevice.Shared));

    private static Module Layer(HostDevice device)
    {
        var layer = new Module();
        layer.Register("weight", new Parameter(Tensor.EmptyStrided(DType.BF16, new Shape(2, 3), [1, 2], device)));
        layer.Register("mean", Tensor.Empty(DType.F32, new Shape(2), device));
        layer.Register("bias", new Parameter(Tensor.Empty(DType.F32, new Shape(2), device)));
        layer.Register("count", Tensor.Empty(DType.I64, new Shape(), device));
        return layer;
    }

    private sealed class HadamardTransform : Module;

    private sealed class TalkingLayer : Module
    {
        private readonly string _name;

        public TalkingLayer(string name)
        {
            _name = name;
            var parameter = Register("weight", new Parameter(DType.F32, new Shape(2), TakeWeight));
            parameter.Attributes["layer"] = this;
            parameter.Attributes["name"] = (Func<string>)Name;
            parameter.Attributes["free"] = (Func<string>)(() => "fixed");
            parameter.Attributes["number"] = 5;
            parameter.Attributes["both"] = (Action<string>)Hear + Hear;
            parameter.Attributes["loader"] = (WeightLoader)TakeWeight;
            // A static method that has the layer as its first argument.
            parameter.Attributes["extension"] = typeof(TalkingLayer).GetMethod(nameof(HearStatic))!.CreateDelegate<Action<string>>(this);
            Register("composed", new Parameter(DType.F32, new Shape(2), WeightLoaders.Composed(TakeWeight, Change)));
            Register("transposed", new Parameter(DType.F32, new Shape(2), WeightLoaders.Transposed(TakeWeight)));
        }

        public List<string> Heard { get; } = [];

        public static void HearStatic(TalkingLayer layer, string said) => layer.Heard.Add($"static {said}");

        private string Name() => _name;

        private void Hear(string said) => Heard.Add(said);

        private void TakeWeight(Parameter parameter, Weight weight, ShardId shard) => Heard.Add($"took {weight.Shape}");

        private Tensor Change(Tensor tensor)
        {
            Heard.Add("changed");
            return tensor;
        }

    }
}
