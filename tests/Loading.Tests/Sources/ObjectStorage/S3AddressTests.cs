using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class S3AddressTests
{
    [Theory]
    [InlineData("s3://bucket", "bucket", "")]
    [InlineData("s3://bucket/", "bucket", "")]
    [InlineData("S3://my.bucket-1/a/b", "my.bucket-1", "a/b")]
    [InlineData("s3://bucket/a/b/", "bucket", "a/b")]
    [InlineData("s3://bucket/a//b c+%20?x#y.safetensors", "bucket", "a//b c+%20?x#y.safetensors")]
    public void Parse_OfBucketAndKey_TakesThemAsTheyAre(string address, string bucket, string key) =>
        Assert.Equal(new S3Address(bucket, key), S3Address.Parse(address));

    [Theory]
    [InlineData("https://bucket/a", "scheme")]
    [InlineData("/bucket/a", "scheme")]
    [InlineData("s3://", "bucket's name")]
    [InlineData("s3://a/b", "bucket's name")]
    [InlineData("s3://user:secret@host/b", "bucket's name")]
    [InlineData("s3://../b", "bucket's name")]
    [InlineData("s3://bucket/../other/a", "'..'")]
    [InlineData("s3://bucket/a/./b", "'..'")]
    [InlineData("s3://bucket/a\u0001b", "control")]
    public void Parse_OfAnotherForm_SaysWhatIsWrongAndTheForm(string address, string problem)
    {
        var exception = Assert.Throws<ArgumentException>(() => S3Address.Parse(address));
        Assert.Contains(problem, exception.Message, StringComparison.Ordinal);
        Assert.Contains(S3Address.Form, exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(exception.Message, char.IsControl);
    }

    [Fact]
    public void Parse_OfAKeyLongerThanS3Takes_Throws()
    {
        Assert.Equal(1024, S3Address.Parse("s3://bucket/" + new string('a', 1024)).Key.Length);
        // In UTF-8, of which an umlaut takes two bytes.
        Assert.Throws<ArgumentException>(() => S3Address.Parse("s3://bucket/" + new string('ä', 513)));
    }

    [Fact]
    public void Folder_OfAKey_HasItsNameInIt()
    {
        var file = S3Address.Parse("s3://bucket/a/b/c.safetensors");
        Assert.Equal(("s3://bucket/a/b", "c.safetensors", file), (file.Folder.ToString(), file.Name, file.Folder.Of(file.Name)));
        var top = S3Address.Parse("s3://bucket/c.gguf");
        Assert.Equal(("s3://bucket", "c.gguf", "s3://bucket/c.gguf"), (top.Folder.ToString(), top.Name, top.Folder.Of(top.Name).ToString()));
        Assert.Equal(("", "a/b/"), (top.Folder.Prefix, file.Folder.Prefix));
    }

    [Theory]
    [InlineData("a b.safetensors", true)]
    [InlineData("", false)]
    [InlineData("..", false)]
    [InlineData(".", false)]
    [InlineData("a/b", false)]
    [InlineData("a\\b", false)]
    [InlineData("a\nb", false)]
    [InlineData("a\u202eb", false)]
    public void IsName_OfWhatIsNoFilesName_IsFalse(string name, bool isName) => Assert.Equal(isName, S3Address.IsName(name));
}
