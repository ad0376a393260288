using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class CheckpointExceptionTests
{
    [Fact]
    public void Invalid_SaysFileTensorProblemAndOffset()
    {
        var inner = new FormatException();
        var exception = new InvalidCheckpointException(
            CheckpointErrorCode.OffsetInvalid, "a/b.safetensors", "it overlaps.", "safetensors", 123, "w\u001b", inner);
        Assert.Equal("a/b.safetensors: tensor 'w\\u001b': it overlaps. (at byte 123)", exception.Message);
        Assert.Equal(CheckpointErrorCode.OffsetInvalid, exception.Code);
        Assert.Equal("a/b.safetensors", exception.File);
        Assert.Equal("safetensors", exception.Format);
        Assert.Equal(123, exception.Offset);
        Assert.Equal("w\u001b", exception.Tensor);
        Assert.Same(inner, exception.InnerException);
    }

    [Fact]
    public void Invalid_WithoutTheParts_LeavesThemOut()
    {
        var exception = new InvalidCheckpointException(CheckpointErrorCode.HeaderNotJson, null, "it is no JSON.");
        Assert.Equal("it is no JSON.", exception.Message);
        Assert.Null(exception.File);
        Assert.Null(exception.Format);
        Assert.Null(exception.Offset);
        Assert.Null(exception.Tensor);
    }

    [Fact]
    public void Unsupported_SaysFileTensorAndProblem()
    {
        var exception = new UnsupportedCheckpointException("views", "f.pt", "views are not read.", "pt", "w");
        Assert.Equal("f.pt: tensor 'w': views are not read.", exception.Message);
        Assert.Equal(CheckpointErrorCode.Unsupported, exception.Code);
        Assert.Equal("views", exception.Feature);
        Assert.Equal("w", exception.Tensor);
        Assert.Equal("pt", exception.Format);
        Assert.Equal("f.pt: not read.", new UnsupportedCheckpointException("x", "f.pt", "not read.").Message);
    }

    [Fact]
    public void Limit_SaysBothNumbersAndWhatRaisesIt()
    {
        var exception = new CheckpointLimitException("header length", ulong.MaxValue, 100, "Some.Option", "f");
        Assert.Equal(
            "f: the header length is 18446744073709551615, the limit is 100; if the file is trusted, raise Some.Option.", exception.Message);
        Assert.Equal(CheckpointErrorCode.LimitExceeded, exception.Code);
        Assert.Equal("header length", exception.Limit);
        Assert.Equal(ulong.MaxValue, exception.Actual);
        Assert.Equal(100, exception.Maximum);
        Assert.Equal("Some.Option", exception.Option);
    }

    [Fact]
    public void NotFound_NamesTheThreeNearest_NearestFirst()
    {
        string[] names = ["x", "model.norn.weight", "model.norm.weights", "model.norm.bias", "model.norm.weight", "lm_head.weight"];
        var exception = new TensorNotFoundException("model.norm.weigth", "f", names);
        // Two edits, three and three; equally near names come in ordinal order.
        Assert.Equal(["model.norm.weight", "model.norm.weights", "model.norn.weight"], exception.Nearest.AsEnumerable());
        Assert.Equal(CheckpointErrorCode.TensorNotFound, exception.Code);
        Assert.Equal("model.norm.weigth", exception.Tensor);
        Assert.Equal("f", exception.File);
        Assert.Equal(
            "f: there is no tensor 'model.norm.weigth'; the nearest names are 'model.norm.weight', 'model.norm.weights', 'model.norn.weight'.",
            exception.Message);
    }

    [Fact]
    public void NotFound_WithNothingNear_NamesNothing()
    {
        var exception = new TensorNotFoundException("a\n", null, ["something.else", "", "x"]);
        Assert.Empty(exception.Nearest);
        Assert.Equal("there is no tensor 'a\\u000a'.", exception.Message);
    }

    [Fact]
    public void NotFound_NameOnceWithAPrefix_IsFound()
    {
        var exception = new TensorNotFoundException("layers.0.mlp.weight", "f", ["model.layers.0.mlp.weight", "bias"]);
        Assert.Equal(["model.layers.0.mlp.weight"], exception.Nearest.AsEnumerable());
    }

    [Fact]
    public void NotFound_AmongVeryLongNames_ComparesTheirBeginnings()
    {
        var name = new string('n', 100_000);
        var exception = new TensorNotFoundException(name, "f", [name + "x", new string('m', 100_000)]);
        Assert.Equal([name + "x"], exception.Nearest.AsEnumerable());
        Assert.InRange(exception.Message.Length, 400, 500);
    }
}
