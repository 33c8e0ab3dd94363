# SPDX-License-Identifier: GPL-2.0-or-later
"""Dockerfiles in many idioms, for the comparison with buildah: without RUN, with the files of ``plain_buildah``."""

from __future__ import annotations

#: The base image of Fedora's guidelines sets FGC and DISTTAG.
GUIDELINES = """\
FROM localhost/plain:1
LABEL maintainer="Me <me@example.org>"
ENV NAME=hello VERSION=1.2 RELEASE=3 ARCH=x86_64
LABEL com.redhat.component="$NAME-container" \\
      name="$FGC/$NAME" \\
      version="$VERSION" \\
      release="$RELEASE.$DISTTAG" \\
      architecture="$ARCH" \\
      usage="podman run $FGC/$NAME"
COPY a /
CMD ["/a"]
"""

#: Dockerfiles that buildah builds.
ACCEPTED: dict[str, str] = {
    "guidelines": GUIDELINES,
    "ARG in the stage": "ARG V=1\nFROM scratch\nARG V=2\nLABEL v=$V\n",
    "ARG from before FROM": "ARG V=1\nFROM scratch\nARG V\nLABEL v=$V w=$W\n",
    "ARG not declared in the stage": "ARG V=1\nFROM scratch\nLABEL v=[$V]\n",
    "ARG again": "ARG V=1\nFROM scratch\nARG V=2\nARG V\nLABEL v=$V\n",
    "ARG of another": "ARG A=pl\nARG B=${A}ain\nFROM localhost/$B:1\nARG B\nARG C=$B.1\nLABEL c=$C\n",
    "ENV over ARG": "FROM scratch\nENV V=env\nARG V=arg\nLABEL v=$V\n",
    "ENV of the parent over ARG": "FROM localhost/plain:1\nARG FGC=mine\nLABEL f=$FGC\n",
    "ENV in one instruction": "FROM scratch\nENV A=1\nENV A=2 B=$A\nLABEL a=$A b=$B\n",
    "ENV old form": "FROM scratch\nENV A  one  two \nLABEL a $A three\n",
    "ENV old form with quotes": "FROM scratch\nENV A \"one two\" 'three'\nLABEL a $A\n",
    "defaults": (
        "FROM localhost/${TAG:-plain}:1\nENV E=\n"
        "LABEL a=${X:-d} b=${E:-d} c=${E:+w} d=${FGC:+w} e=${X:-${FGC}} f=${X:-} g=${X:-'a b'}\n"
    ),
    "quotes": (
        'FROM scratch\nENV A=1\nLABEL a="$A b" b=\'$A b\' c=\\$A d="\\$A" e=a\\ b f="a\\"b" g=\'\'"" h="it\'s" i=\\"\n'
    ),
    "names": 'FROM scratch\nENV A=1\nLABEL "a b"=c org.$A=d "$A"=e\n',
    "names of variables": (
        "FROM scratch\nENV A=1 A_1=2 é=3\nLABEL a=$A_1 b=$A.1 c=${A}_1 d=$A-1 e=$1A f=$é g=$$A h=${}\n"
    ),
    "no here-documents": "FROM scratch\nLABEL a=<<EOF\nCMD echo <<EOF ${v%%<*} ${x//</}\n",
    "comments": "# a\n \t# b\nFROM scratch\nLABEL a=1 \\\n# escape=`\n  # c\n\n  b=2\n#escape=x\n",
    "escape directive": "# escape=`\nFROM scratch\nLABEL a=1 `\n b=`$A c=a` b\n",
    "escape directive that is a comment": (
        "# syntax=docker/dockerfile:1\n# escape=`\nFROM scratch\nLABEL a=1 \\\n b=2\n"
    ),
    "backslash at the end of the file": "FROM scratch\nLABEL a=1 \\",
    "backslash before blanks": "FROM scratch\nLABEL a=1 \\  \n b=2\n",
    "lower case": "from scratch as x\nlabel a=1\nFrom x\nLabel b=2\n",
    "carriage returns": "FROM scratch\r\nLABEL a=1 \\\r\n b=2\r\n",
    "tabs": "FROM\tscratch\nLABEL\ta=1\t\tb=2\n",
    "earlier stage": "FROM localhost/plain:1 AS x\nARG A=1\nENV B=$A\nLABEL a=1\nFROM x\nLABEL b=$B c=$FGC\n",
    "two earlier stages": "FROM scratch AS x\nENV A=1\nFROM x AS y\nENV B=$A$A\nFROM y\nLABEL b=$B\n",
    "stage by number": "FROM scratch\nCOPY a /a\nFROM scratch\nCOPY --from=0 /a /b\nLABEL a=1\n",
    "stage by number in FROM": "FROM scratch\nENV A=1\nFROM 0\nLABEL a=$A\n",
    "stage that is not built": "FROM scratch AS x\nLABEL a=${A-d}\nSTOPSIGNAL x\nFROM scratch\nLABEL a=1\n",
    "copy from a stage": 'FROM scratch AS x\nCOPY a /f\nFROM scratch\nCOPY --from="x" /f /g\nLABEL a=1\n',
    "copy with variables": "FROM scratch\nARG TARGETARCH\nARG V=1\nCOPY x-$V bin-${TARGETARCH} $V /d/\n",
    "copy a JSON array": 'FROM scratch\nARG V=1\nCOPY ["a b", "x-$V", "/d/"]\n',
    "copy with options": 'FROM scratch\nCOPY --chown="1:0" --chmod=0644 a /d/\nADD --chown=0 b /d/\n',
    "copy with patterns": "FROM scratch\nCOPY [^b] [!b] x-? su*/c /d/\n",
    "platform": (
        "ARG TARGETOS\nFROM scratch\nARG TARGETARCH=x\nARG TARGETPLATFORM\nARG TARGETOS\nARG TARGETVARIANT\n"
        "LABEL a=$TARGETARCH b=$TARGETPLATFORM c=$TARGETOS d=[$TARGETVARIANT] e=[$BUILDARCH]\n"
    ),
    "platform of the machine": "FROM scratch\nARG BUILDPLATFORM\nARG BUILDARCH\nLABEL a=$BUILDPLATFORM b=$BUILDARCH\n",
    "platform in FROM": "ARG TARGETARCH\nFROM --platform=linux/$TARGETARCH localhost/plain:1\nLABEL a=1\n",
    "ONBUILD": "FROM scratch\nENV A=1\nONBUILD LABEL a=$A\nONBUILD COPY a /\nLABEL b=1\n",
    "ONBUILD of the parent": "FROM localhost/trigger:1\nLABEL own=$O t=$T p=$PATH e=[$EMPTY]\n",
    "ONBUILD of the parent, overridden": "FROM localhost/trigger:1\nENV O=x\nLABEL o=mine\n",
    "ONBUILD of an earlier stage": (
        "FROM scratch AS x\nENV A=1\nONBUILD LABEL o=$A\nONBUILD ENV B=$A$A\nFROM x\nLABEL b=$B\n"
    ),
    "PATH": "FROM scratch\nENV PATH=/x:$PATH\nLABEL p=$PATH\n",
    "ARG named PATH": "FROM scratch\nARG PATH=/x\nLABEL p=$PATH\n",
    "options of others": "FROM scratch\nENV --a=b X=y\nLABEL --c d=$X\nCMD --help\n",
    "other instructions": (
        'FROM scratch\nENV A=1\nMAINTAINER me\nWORKDIR /w/$A\nUSER $A\nEXPOSE 80 $A\nVOLUME /v /w\nVOLUME ["/x"]\n'
        'STOPSIGNAL SIGRTMIN+3\nSHELL ["/bin/bash", "-c"]\nENTRYPOINT ["/a"] trailing\nCMD\n'
        "HEALTHCHECK --interval=1m30s --timeout=3s --start-period=5s --retries=3 CMD true\nHEALTHCHECK NONE\n"
    ),
    "white space": "FROM scratch\nLABEL a=1\u00a0b=2\u3000c=3\n",
    "ARG several": "FROM scratch\nARG A=1 B C=3\nLABEL a=$A b=[$B] c=$C\n",
    "ARG with quotes": 'FROM scratch\nARG A="1 2" B=\'$A\' "C=3"\nLABEL a=$A b=$B c=$C\n',
}

#: Dockerfiles that buildah refuses → part of our reason.
REFUSED: dict[str, tuple[str, str]] = {
    "COPY with one argument": ("FROM scratch\nCOPY a\n", "COPY needs at least one source and a destination"),
    "unknown option of COPY": ("FROM scratch\nCOPY --chwon=0 a /\n", "COPY --chwon=0 is not an option of COPY"),
    "option without a value": ("FROM scratch\nCOPY --chown a /\n", "COPY --chown has no value"),
    "option of ADD": ("FROM scratch AS x\nFROM scratch\nADD --from=x a /\n", "ADD --from=x is not an option of ADD"),
    "chmod": ("FROM scratch\nCOPY --chmod=u+x a /\n", "--chmod=u+x is not an octal number"),
    "option of HEALTHCHECK": ("FROM scratch\nHEALTHCHECK --intervall=3s CMD a\n", "is not an option of HEALTHCHECK"),
    "interval": ("FROM scratch\nHEALTHCHECK --interval=3 CMD a\n", "--interval 3 is not a positive duration"),
    "retries": ("FROM scratch\nHEALTHCHECK --retries=0 CMD a\n", "--retries 0 is not a positive number"),
    "HEALTHCHECK": ("FROM scratch\nHEALTHCHECK a\n", "HEALTHCHECK needs CMD or NONE"),
    "FROM with two words": ("FROM localhost/plain:1 x\nLABEL a=1\n", "FROM requires either one argument, or three"),
    "FROM without a value": ("FROM\nLABEL a=1\n", "FROM requires either one argument, or three"),
    "option of FROM": ("FROM --x=1 scratch\nLABEL a=1\n", "FROM --x=1 is not an option of FROM"),
    "STOPSIGNAL": ("FROM scratch\nSTOPSIGNAL SIGNO\n", "SIGNO is not a signal"),
    "SHELL": ("FROM scratch\nSHELL /bin/bash -c\n", "SHELL needs a JSON array"),
    "unknown instruction": ("FROM scratch\nLABELS a=1\n", "unknown instruction LABELS; did you mean LABEL?"),
    "quote": ('FROM scratch\nLABEL a="1\n', "LABEL has an unbalanced quote"),
    "quote in COPY": ('FROM scratch\nCOPY "a b" /\n', "COPY has an unbalanced quote"),
    "LABEL without a value": ("FROM scratch\nLABEL a\n", "LABEL has no value for a"),
    "LABEL with a word": ("FROM scratch\nLABEL a=b c\n", "LABEL has a word without =: c"),
    "ENV without a value": ("FROM scratch\nENV\n", "ENV has no value"),
    "dash": ("FROM scratch\nLABEL a=${X-d}\n", "unsupported form of a variable: ${X-d}"),
    "brace": ("FROM scratch\nLABEL a=${X:-d\n", "has a ${ without }"),
    "modifier": ("FROM scratch\nLABEL a=${X:=d}\n", "unsupported modifier of a variable"),
    "JSON": ("FROM scratch\nCMD [1]\n", "CMD has a JSON array with values that are not strings"),
    "ONBUILD": ("FROM scratch\nONBUILD FROM x\n", "ONBUILD cannot defer FROM"),
    "empty ONBUILD": ("FROM scratch\nONBUILD\n", "ONBUILD has no value"),
    "WORKDIR": ("FROM scratch\nWORKDIR\n", "WORKDIR has no value"),
    "VOLUME": ("FROM scratch\nVOLUME\n", "VOLUME has no value"),
    "EXPOSE": ("FROM scratch\nEXPOSE $X\n", "EXPOSE has no value"),
    "URL": ("FROM scratch\nCOPY https://127.0.0.1/a /\n", "COPY cannot copy from a URL"),
    "escape directive": ("# escape=x\nFROM scratch\nLABEL a=1\n", "cannot be the escape character"),
}

#: Dockerfiles that only newer versions of buildah build → the name of the feature.
NEWER: dict[str, tuple[str, str]] = {
    "error if empty": ("FROM scratch\nENV A=1\nLABEL a=${A:?no}\n", "${NAME:?…}"),
    "prefix": ("FROM scratch\nENV A=v1.2.3\nLABEL a=${A#v} b=${A#v*.} c=${A##*.} d=${A#x} e=${A#*}\n", "${NAME#…}"),
    "suffix": ("FROM scratch\nENV A=v1.2.3\nLABEL a=${A%.*} b=${A%%.*} c=${A%3} d=${A%%*} e=${A%?}\n", "${NAME#…}"),
    "replacement": (
        "FROM scratch\nENV A=v1.2.3\nLABEL a=${A/./_} b=${A//./_} c=${A/#v/w} d=${A/%3/4} e=${A//[0-9]/n} f=${A/v}\n",
        "${NAME#…}",
    ),
    "short values": ("FROM scratch\nENV A=v1\nLABEL a=${A#v} b=${A%1} c=${A##v} d=${A%%1}\n", "${NAME#…}"),
    "checksum": ("FROM scratch\nADD --checksum=sha256:0 a /\n", "ADD --checksum"),
    "start interval": ("FROM scratch\nHEALTHCHECK --start-interval=1s CMD a\n", "HEALTHCHECK --start-interval"),
    "exclude": ("FROM scratch\nCOPY --exclude=b . /\n", "--exclude"),
    "link": ("FROM scratch\nCOPY --link a /\n", "--link"),
    "parents": ("FROM scratch\nCOPY --parents sub/c /\n", "COPY --parents"),
    "here-document": ("FROM scratch\nCOPY <<E-F.g /x\na\nE-F.g\n", "here-documents"),
}

#: Dockerfiles whose values depend on the version of buildah.
DIFFERENT: dict[str, str] = {
    "ARG of an earlier stage": "FROM scratch AS x\nARG A=1 B\nFROM x\nLABEL a=[$A]\n",
    "platform before FROM": "ARG A=x-$TARGETARCH\nFROM scratch\nARG A\nLABEL a=$A\n",
    "variant with a default": (
        "FROM scratch\nARG TARGETVARIANT=v9\nARG BUILDVARIANT=v8\nLABEL a=$TARGETVARIANT b=$BUILDVARIANT\n"
    ),
}
