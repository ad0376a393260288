using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class WeightFilesTests
{
    [Fact]
    public void InOrder_NumbersInNames_CountByTheirValue() => Assert.Equal(
        ["model-1-of-10.safetensors", "model-2-of-10.safetensors", "model-10-of-10.safetensors"],
        WeightFiles.InOrder(["model-10-of-10.safetensors", "model-2-of-10.safetensors", "model-1-of-10.safetensors"]));

    [Fact]
    public void InOrder_FilesOfSeveralFolders_GoByTheirBaseNames() => Assert.Equal(
        [Path.Combine("b", "model-2-of-3.bin"), Path.Combine("a10", "model-3-of-3.bin"), Path.Combine("a2", "model-3-of-3.bin")],
        WeightFiles.InOrder([Path.Combine("a10", "model-3-of-3.bin"), Path.Combine("a2", "model-3-of-3.bin"), Path.Combine("b", "model-2-of-3.bin")]));

    [Fact]
    public void NeededForInference_WhatTrainersLeave_IsLeftOutByTheEndOfItsName()
    {
        string[] needed = ["pytorch_model.bin", "optimizer.bin.safetensors", "scheduler.bin", "training_args.pt", "Optimizer.pt"];
        string[] others = ["training_args.bin", "dir/optimizer.bin", "my_optimizer.pt", "scheduler.pt", "scaler.pt"];
        Assert.Equal(needed, WeightFiles.NeededForInference(needed.Zip(others).SelectMany(pair => new[] { pair.Second, pair.First })));
    }
}
