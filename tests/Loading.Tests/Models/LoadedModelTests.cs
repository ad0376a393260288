using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LoadedModelTests
{
    private static readonly Sample Tensors = Sample.Make(1, ("b", DType.F32, [2]), ("a", DType.F32, [3]), ("c", DType.U8, [4]));

    [Fact]
    public async Task A_model_lists_its_tensors_in_the_order_of_their_bytes()
    {
        var device = new HostDevice();
        await using var model = await LoadAsync(device);
        Assert.Equal(["b", "a", "c"], model.Names);
        Assert.Equal(["b", "a", "c"], model.Select(tensor => tensor.Name));
        Assert.Equal(3, model.Count);
        Assert.Equal("sample.safetensors", model.Name);
        Assert.Null(model.Config);
        Assert.Same(model["a"], model.Single(tensor => tensor.Name == "a").Tensor);
    }

    [Fact]
    public async Task A_missing_name_is_refused_with_the_nearest()
    {
        await using var model = await LoadAsync(new HostDevice());
        Assert.False(model.TryGetTensor("A", out _));
        Assert.Throws<TensorNotFoundException>(() => model["d"]);
        var error = Assert.Throws<TensorNotFoundException>(() => model.Detach("ab"));
        Assert.Equal<string>(["a", "b"], error.Nearest);
    }

    [Fact]
    public async Task A_detached_tensor_outlives_the_model()
    {
        var device = new HostDevice();
        var model = await LoadAsync(device);
        var detached = model.Detach("a");
        Assert.Equal(["b", "c"], model.Names);
        Assert.Throws<TensorNotFoundException>(() => model.Detach("a"));
        await model.DisposeAsync();
        model.Dispose();
        Assert.Equal((1, 12L), (device.LiveAllocations, device.LiveBytes));
        Assert.Equal(Tensors.Tensors["a"], detached.AsSpan<byte>().ToArray());
        detached.Dispose();
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task A_view_of_a_tensor_outlives_the_model()
    {
        var device = new HostDevice();
        var model = await LoadAsync(device);
        var view = model["c"].Narrow(0, 1, 2);
        model.Dispose();
        Assert.Equal((1, 4L), (device.LiveAllocations, device.LiveBytes));
        Assert.Equal(Tensors.Tensors["c"][1..3], view.AsSpan<byte>().ToArray());
        view.Dispose();
        Assert.Equal(0, device.LiveAllocations);
    }

    private static async Task<LoadedModel> LoadAsync(Device device)
    {
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        return await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device }));
    }
}
