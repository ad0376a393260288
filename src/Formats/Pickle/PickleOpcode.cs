namespace IlgpuLoader.Formats.Pickle;

/// <summary>The opcodes of Python's pickle protocols 0 to 5, as <c>pickletools</c> lists them.</summary>
internal enum PickleOpcode : byte
{
    /// <summary>MARK: begins the items of a container.</summary>
    Mark = 0x28,
    /// <summary>EMPTY_TUPLE.</summary>
    EmptyTuple = 0x29,
    /// <summary>STOP: ends the pickle.</summary>
    Stop = 0x2e,
    /// <summary>POP: drops the top.</summary>
    Pop = 0x30,
    /// <summary>POP_MARK: drops all to the mark.</summary>
    PopMark = 0x31,
    /// <summary>DUP: the top once more.</summary>
    Duplicate = 0x32,
    /// <summary>BINBYTES: bytes with a 32-bit length.</summary>
    BinBytes = 0x42,
    /// <summary>SHORT_BINBYTES: bytes with an 8-bit length.</summary>
    ShortBinBytes = 0x43,
    /// <summary>FLOAT: a double as text.</summary>
    Float = 0x46,
    /// <summary>BINFLOAT: a double, highest byte first.</summary>
    BinFloat = 0x47,
    /// <summary>INT: an integer or a bool as text.</summary>
    Int = 0x49,
    /// <summary>BININT: a signed 32-bit integer.</summary>
    BinInt = 0x4a,
    /// <summary>BININT1: an unsigned byte.</summary>
    BinInt1 = 0x4b,
    /// <summary>LONG: an integer as text.</summary>
    Long = 0x4c,
    /// <summary>BININT2: an unsigned 16-bit integer.</summary>
    BinInt2 = 0x4d,
    /// <summary>NONE.</summary>
    None = 0x4e,
    /// <summary>PERSID: something kept elsewhere, named by text.</summary>
    PersId = 0x50,
    /// <summary>BINPERSID: something kept elsewhere, named by the top.</summary>
    BinPersId = 0x51,
    /// <summary>REDUCE: a call.</summary>
    Reduce = 0x52,
    /// <summary>STRING: bytes as a quoted literal.</summary>
    String = 0x53,
    /// <summary>BINSTRING: bytes with a 32-bit length.</summary>
    BinString = 0x54,
    /// <summary>SHORT_BINSTRING: bytes with an 8-bit length.</summary>
    ShortBinString = 0x55,
    /// <summary>UNICODE: text, escaped.</summary>
    Unicode = 0x56,
    /// <summary>BINUNICODE: UTF-8 with a 32-bit length.</summary>
    BinUnicode = 0x58,
    /// <summary>EMPTY_LIST.</summary>
    EmptyList = 0x5d,
    /// <summary>APPEND: one item onto a list.</summary>
    Append = 0x61,
    /// <summary>BUILD: the state of an object.</summary>
    Build = 0x62,
    /// <summary>GLOBAL: module and name as text.</summary>
    Global = 0x63,
    /// <summary>DICT: a dict of all to the mark.</summary>
    Dict = 0x64,
    /// <summary>APPENDS: all to the mark onto a list.</summary>
    Appends = 0x65,
    /// <summary>GET: from the memo, by decimal index.</summary>
    Get = 0x67,
    /// <summary>BINGET: from the memo, by an 8-bit index.</summary>
    BinGet = 0x68,
    /// <summary>INST: an object of a named class.</summary>
    Inst = 0x69,
    /// <summary>LONG_BINGET: from the memo, by a 32-bit index.</summary>
    LongBinGet = 0x6a,
    /// <summary>LIST: a list of all to the mark.</summary>
    List = 0x6c,
    /// <summary>OBJ: an object of a class on the stack.</summary>
    Obj = 0x6f,
    /// <summary>PUT: into the memo, by decimal index.</summary>
    Put = 0x70,
    /// <summary>BINPUT: into the memo, by an 8-bit index.</summary>
    BinPut = 0x71,
    /// <summary>LONG_BINPUT: into the memo, by a 32-bit index.</summary>
    LongBinPut = 0x72,
    /// <summary>SETITEM: one entry into a dict.</summary>
    SetItem = 0x73,
    /// <summary>TUPLE: of all to the mark.</summary>
    Tuple = 0x74,
    /// <summary>SETITEMS: all to the mark into a dict.</summary>
    SetItems = 0x75,
    /// <summary>EMPTY_DICT.</summary>
    EmptyDict = 0x7d,
    /// <summary>PROTO: the protocol that follows.</summary>
    Protocol = 0x80,
    /// <summary>NEWOBJ: an object of a class.</summary>
    NewObject = 0x81,
    /// <summary>EXT1: a global by registered number.</summary>
    Ext1 = 0x82,
    /// <summary>EXT2.</summary>
    Ext2 = 0x83,
    /// <summary>EXT4.</summary>
    Ext4 = 0x84,
    /// <summary>TUPLE1.</summary>
    Tuple1 = 0x85,
    /// <summary>TUPLE2.</summary>
    Tuple2 = 0x86,
    /// <summary>TUPLE3.</summary>
    Tuple3 = 0x87,
    /// <summary>NEWTRUE.</summary>
    NewTrue = 0x88,
    /// <summary>NEWFALSE.</summary>
    NewFalse = 0x89,
    /// <summary>LONG1: an integer with an 8-bit length.</summary>
    Long1 = 0x8a,
    /// <summary>LONG4: an integer with a 32-bit length.</summary>
    Long4 = 0x8b,
    /// <summary>SHORT_BINUNICODE: UTF-8 with an 8-bit length.</summary>
    ShortBinUnicode = 0x8c,
    /// <summary>BINUNICODE8: UTF-8 with a 64-bit length.</summary>
    BinUnicode8 = 0x8d,
    /// <summary>BINBYTES8: bytes with a 64-bit length.</summary>
    BinBytes8 = 0x8e,
    /// <summary>EMPTY_SET.</summary>
    EmptySet = 0x8f,
    /// <summary>ADDITEMS: all to the mark into a set.</summary>
    AddItems = 0x90,
    /// <summary>FROZENSET: of all to the mark.</summary>
    FrozenSet = 0x91,
    /// <summary>NEWOBJ_EX: an object of a class, with arguments by name.</summary>
    NewObjectEx = 0x92,
    /// <summary>STACK_GLOBAL: module and name from the stack.</summary>
    StackGlobal = 0x93,
    /// <summary>MEMOIZE: into the memo at the next index.</summary>
    Memoize = 0x94,
    /// <summary>FRAME: the bytes that belong together.</summary>
    Frame = 0x95,
    /// <summary>BYTEARRAY8: bytes with a 64-bit length.</summary>
    ByteArray8 = 0x96,
    /// <summary>NEXT_BUFFER: bytes kept elsewhere.</summary>
    NextBuffer = 0x97,
    /// <summary>READONLY_BUFFER: makes such bytes read-only.</summary>
    ReadOnlyBuffer = 0x98,
}
